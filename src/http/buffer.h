// Buffer: bytes in one piece with 64 readable ones behind them, so that simdjson parses in place.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

namespace penstock::http {

class Buffer {
 public:
  static constexpr std::size_t kSpare = 64;

  Buffer() = default;
  Buffer(Buffer&& other) noexcept
      : bytes_(std::move(other.bytes_)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    return *this;
  }

  std::string_view view() const { return {bytes_.get(), size_}; }
  std::size_t size() const { return size_; }
  std::size_t capacity() const { return capacity_; }
  bool empty() const { return size_ == 0; }

  // Room for `capacity` bytes in all. Moves the bytes: views into them end.
  void Reserve(std::size_t capacity) {
    if (capacity <= capacity_) return;
    // At least as much again: appending byte by byte stays linear.
    const std::size_t grown = std::max(capacity, size_ == 0 ? 0 : capacity_ * 2);
    auto bytes = std::make_unique_for_overwrite<char[]>(grown + kSpare);
    if (size_ > 0) std::memcpy(bytes.get(), bytes_.get(), size_);
    std::memset(bytes.get() + grown, 0, kSpare);
    bytes_ = std::move(bytes);
    capacity_ = grown;
  }

  void Append(std::string_view more) {
    if (more.empty()) return;
    Reserve(size_ + more.size());
    std::memcpy(bytes_.get() + size_, more.data(), more.size());
    size_ += more.size();
  }

  // Where the next bytes may be written; Commit() then makes them part of the buffer.
  std::span<char> free() { return {bytes_.get() + size_, capacity_ - size_}; }
  void Commit(std::size_t bytes) { size_ += bytes; }

  // Drops the first `bytes`, moving the rest to the front.
  void DropFront(std::size_t bytes) {
    size_ -= bytes;
    if (size_ > 0) std::memmove(bytes_.get(), bytes_.get() + bytes, size_);
  }

  void Clear() { size_ = 0; }
  void Release() { *this = Buffer(); }

 private:
  std::unique_ptr<char[]> bytes_;  // capacity_ + kSpare.
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace penstock::http
