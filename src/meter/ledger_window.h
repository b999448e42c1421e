// LedgerWindow: the part of a segment that is being written, as memory.
//
// A record is copied into the file's own pages, so it costs no system call and survives the death
// of the process like one that was written. Pages are only ever touched after the disk has promised
// room for them (fallocate), so a full disk shows as a failure of Reach() and never as a signal.
// Where a file system does not do this, Reach() fails, and the caller writes instead. A file that
// somebody else cuts short takes its pages with it: Put() then fails, by a handler of SIGBUS that
// knows its own stores from others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace penstock::meter {

class LedgerWindow {
 public:
  // The room that is made ahead; on disk an open segment is longer by as much, in zeros.
  static constexpr std::size_t kBytes = std::size_t{256} * 1024;

  LedgerWindow() = default;
  ~LedgerWindow() { Close(); }
  LedgerWindow(const LedgerWindow&) = delete;
  LedgerWindow& operator=(const LedgerWindow&) = delete;

  // Makes [offset, offset + bytes) of the file writable through Put(). False: no room, or the file
  // system cannot. REQUIRES: bytes <= kBytes / 2.
  bool Reach(int file, std::uint64_t offset, std::size_t bytes);

  // Copies `frames`, which begin with a frame, to `offset`. The first frame's size comes last: who
  // reads meanwhile sees zeros there, which is the segment's end, or the whole. False: the file was
  // cut short, and the window is closed. REQUIRES: Reach().
  [[nodiscard]] bool Put(std::uint64_t offset, std::string_view frames);

  void Close();

 private:
  char* memory_ = nullptr;
  std::uint64_t begin_ = 0;  // In the file: of a page.
};

}  // namespace penstock::meter
