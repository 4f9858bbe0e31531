// view.hpp: borrowed arrays, columns and texts. A view is valid until the batch or blob that it came from is changed or
// destroyed.
#ifndef KEEL_VIEW_HPP
#define KEEL_VIEW_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace keel {

// A borrowed array.
template <class T>
class View {
 public:
  View() = default;
  View(const T *data, size_t size) : data_(data), size_(size) {}
  View(const std::vector<T> &values) : View(values.data(), values.size()) {}
  template <size_t N>
  View(const T (&values)[N]) : View(values, N) {}

  const T *data() const { return data_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const T &operator[](size_t index) const { return data_[index]; }
  const T *begin() const { return data_; }
  const T *end() const { return data_ + size_; }
  View slice(size_t from, size_t to) const { return View(data_ + from, to - from); }
  std::vector<T> to_vector() const { return std::vector<T>(begin(), end()); }

 private:
  const T *data_ = nullptr;
  size_t size_ = 0;
};

// A borrowed column: all values, and where each row of a ragged one begins (rows + 1 offsets).
template <class T>
struct Column {
  View<T> values;
  View<uint64_t> offsets;
  size_t rows = 0;

  View<T> row(size_t index) const {
    if (offsets.empty()) {
      const size_t width = rows == 0 ? 0 : values.size() / rows;
      return values.slice(index * width, (index + 1) * width);
    }
    return values.slice(static_cast<size_t>(offsets[index]), static_cast<size_t>(offsets[index + 1]));
  }
};

// A borrowed column of text: one string_view per row.
class Texts {
 public:
  Texts() = default;
  explicit Texts(Column<char> column) : column_(column) {}
  size_t size() const { return column_.rows; }
  std::string_view operator[](size_t index) const {
    const View<char> row = column_.row(index);
    return std::string_view(row.data(), row.size());
  }
  std::vector<std::string> to_vector() const {
    std::vector<std::string> all;
    for (size_t index = 0; index < size(); ++index) all.emplace_back((*this)[index]);
    return all;
  }

 private:
  Column<char> column_;
};

}  // namespace keel

#endif  // KEEL_VIEW_HPP
