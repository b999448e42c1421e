// BatchReader: receives from several sockets with one system call (io_uring).
//
// Entering the kernel is a tenth or more of what receiving a small piece costs. It is not where
// events come from, that is the Poller's; so where a system has no io_uring, or forbids it, nothing
// changes but the cost. One thread, the same for all calls.
#pragma once

#include <liburing.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <array>
#include <cstddef>
#include <ctime>
#include <memory>

namespace penstock::io {

class BatchReader {
 public:
  static constexpr std::size_t kMost = 32;         // Sockets of one call.
  static constexpr std::size_t kBytesMost = 4096;  // Of each.
  static constexpr std::size_t kLeast = 3;         // For fewer it is not worth it.

  BatchReader() = default;
  ~BatchReader();
  BatchReader(const BatchReader&) = delete;
  BatchReader& operator=(const BatchReader&) = delete;

  // Opens it at the first call. False where the system has none.
  bool Usable();

  // Forgets what was received.
  void Clear() { size_ = 0; }
  // Returns the place of this socket among those to receive from. `with_stamp`: and its time stamp.
  // REQUIRES: fewer than kMost since Clear().
  std::size_t Add(int socket, bool with_stamp);
  std::size_t size() const { return size_; }

  // Receives from all that were added, without waiting.
  void Receive();

  // One socket's outcome: what recv() would have returned, or errno as a negative number.
  struct Received {
    ssize_t result;
    const char* bytes;  // Valid until Clear().
    msghdr* message;    // With the time stamp; null where none was asked for.
  };
  static constexpr ssize_t kNotTried = -4096;  // The system did not take it: use recv().
  Received at(std::size_t place) {
    Slot& slot = slots_[place];
    return {slot.result, slot.bytes.data(), slot.with_stamp ? &slot.message : nullptr};
  }

 private:
  struct Slot {
    alignas(64) std::array<char, kBytesMost> bytes;
    ssize_t result;
    int socket;
    bool with_stamp;
    msghdr message;
    iovec piece;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(timespec))> control;
  };
  enum class State : unsigned char { kUntried, kUsable, kNone };

  void Prepare(Slot& slot);
  unsigned Reap();

  State state_ = State::kUntried;
  std::size_t size_ = 0;
  std::unique_ptr<Slot[]> slots_;
  io_uring ring_{};
};

}  // namespace penstock::io
