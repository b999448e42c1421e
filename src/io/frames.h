// Frames: where coroutines' frames come from. A request makes a dozen and frees them again: what is
// freed is kept, a few of each size for each thread, and given out next.
//
// Under AddressSanitizer nothing is kept, so that it sees who uses a frame too late.
#pragma once

#include <cstddef>

namespace penstock::io {

// Memory of one thread. Not larger than kFrameBytesMax in a piece, nor more than kFramesMax of a
// size class (64 bytes): at most 1.5 MB a thread, usually a tenth of that.
inline constexpr std::size_t kFrameBytesMax = 1536;
inline constexpr std::size_t kFramesMax = 80;

void* AllocateFrame(std::size_t bytes);
// `bytes` as it was allocated. May be another thread's.
void FreeFrame(void* frame, std::size_t bytes) noexcept;
// Gives back what this thread keeps: at the end of a loop.
void ReleaseFrames() noexcept;

// The base of objects that come and go with each request: they live where frames do.
struct InFrames {
  static void* operator new(std::size_t bytes) { return AllocateFrame(bytes); }
  static void operator delete(void* object, std::size_t bytes) noexcept {
    FreeFrame(object, bytes);
  }
};

}  // namespace penstock::io
