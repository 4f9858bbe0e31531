// Tensors over memory that somebody else owns, and tensors handed to somebody else.
#include "shim.h"

#include <ATen/dlpack.h>
#include <ATen/ops/from_blob.h>

#include <memory>

// As in ATen/DLConvertor.h, which would bring in every operator of libtorch.
namespace at {
TORCH_API DLManagedTensorVersioned* toDLPackVersioned(const Tensor& source);
}

// The keeper lives in every copy of the deleter and in nothing else, so the owner is released exactly once: when the
// last view dies, or before this call fails.
int32_t shim_external(void* data, const int64_t* sizes, const int64_t* strides, size_t dimensions, int32_t type,
                      int32_t cuda, void* owner, void (*release)(void*), at::Tensor** output, keel::Failure* failure) {
    SHIM_TRY(failure, {
        std::shared_ptr<void> keeper(owner, release);
        const at::IntArrayRef shape(sizes, dimensions), steps(strides, dimensions);
        const auto device = cuda < 0 ? at::Device(at::kCPU) : at::Device(at::kCUDA, static_cast<at::DeviceIndex>(cuda));
        const auto options = at::TensorOptions().dtype(static_cast<at::ScalarType>(type)).device(device);
        const auto deleter = [keeper = std::move(keeper)](void*) mutable { keeper.reset(); };
        *output = new at::Tensor(at::from_blob(data, shape, steps, deleter, options, device));
    })
}

int32_t shim_dlpack_export(const at::Tensor* tensor, DLManagedTensorVersioned** output, keel::Failure* failure) {
    SHIM_TRY(failure, *output = at::toDLPackVersioned(tensor->detach()))
}

int32_t shim_dlpack_release(DLManagedTensorVersioned* managed, keel::Failure* failure) {
    SHIM_TRY(failure, {
        if (managed->deleter != nullptr) managed->deleter(managed);
    })
}
