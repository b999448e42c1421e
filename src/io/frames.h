// Frames: where coroutines' frames come from. A request makes a dozen and frees them again: what is
// freed is kept, a few of each size for each thread, and given out next.
//
// Under AddressSanitizer nothing is kept, so that it sees who uses a frame too late.
#pragma once

#include <cstddef>

namespace penstock::io {

// Memory of one thread. Not larger than kFrameBytesMax in a piece, nor more than kFramesMax of a
// size class (16 bytes). What nobody used from one TrimFrames() to the next goes back then.
inline constexpr std::size_t kFrameBytesMax = 1544;
inline constexpr std::size_t kFramesMax = 80;

void* AllocateFrame(std::size_t bytes);
// `bytes` as it was allocated. May be another thread's.
void FreeFrame(void* frame, std::size_t bytes) noexcept;
// Frees what this thread kept since the last call without giving it out. True: more is kept, so
// another call may be worth it.
bool TrimFrames() noexcept;
// How many this thread keeps; none ever where kKeepsFrames is false.
std::size_t KeptFrames() noexcept;
extern const bool kKeepsFrames;
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
