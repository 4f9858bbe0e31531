// Tensors in device memory without a CUDA compiler: by the runtime that libtorch has loaded.
#pragma once

#include "gpu.hpp"

#include <dlfcn.h>

// The structs of dlpack.h 1.x, as a host would have them.
struct DLTensor {
  void *data;
  int32_t device_type;
  int32_t device_id;
  int32_t ndim;
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
  int64_t *shape;
  int64_t *strides;
  uint64_t byte_offset;
};

struct DLManagedTensorVersioned {
  uint32_t major;
  uint32_t minor;
  void *manager_ctx;
  void (*deleter)(DLManagedTensorVersioned *);
  uint64_t flags;
  DLTensor dl_tensor;
};

namespace gpu {

constexpr uint8_t kInt = 0, kFloat = 2;

struct DeviceMemory {
  DeviceMemory() {
    void *const library = dlopen("libcudart.so.13", RTLD_NOW | RTLD_NOLOAD);
    if (library == nullptr) throw std::runtime_error("libcudart.so.13 is not loaded");
    allocate = reinterpret_cast<int (*)(void **, size_t)>(dlsym(library, "cudaMalloc"));
    copy = reinterpret_cast<int (*)(void *, const void *, size_t, int)>(dlsym(library, "cudaMemcpy"));
    release = reinterpret_cast<int (*)(void *)>(dlsym(library, "cudaFree"));
    if (allocate == nullptr || copy == nullptr || release == nullptr) throw std::runtime_error("not a CUDA runtime");
  }
  int (*allocate)(void **, size_t);
  int (*copy)(void *, const void *, size_t, int);
  int (*release)(void *);
};

// A matrix of 32-bit numbers in device memory, which its owner offers again and again; what was offered was let go.
class DeviceMatrix {
 public:
  DeviceMatrix(const DeviceMemory &memory, size_t rows, size_t width, uint8_t code)
      : memory_(memory), bytes_(4 * rows * width), shape_{static_cast<int64_t>(rows), static_cast<int64_t>(width)} {
    void *data = nullptr;
    if (memory.allocate(&data, bytes_) != 0) throw std::runtime_error("no device memory");
    managed_ = {1, 0, this, [](DLManagedTensorVersioned *self) { ++static_cast<DeviceMatrix *>(self->manager_ctx)->let_go; },
                0, {data, 2, 0, 2, code, 32, 1, shape_, nullptr, 0}};
  }
  DeviceMatrix(const DeviceMatrix &) = delete;
  DeviceMatrix &operator=(const DeviceMatrix &) = delete;
  ~DeviceMatrix() { memory_.release(managed_.dl_tensor.data); }

  DLManagedTensorVersioned *offer() { return &managed_; }
  void write(const void *values) { copied(memory_.copy(managed_.dl_tensor.data, values, bytes_, 1)); }
  void read(void *values) const { copied(memory_.copy(values, managed_.dl_tensor.data, bytes_, 2)); }

  int let_go = 0;

 private:
  static void copied(int status) {
    if (status != 0) throw std::runtime_error("no copy");
  }
  const DeviceMemory &memory_;
  size_t bytes_;
  int64_t shape_[2];
  DLManagedTensorVersioned managed_;
};

}  // namespace gpu
