#include "io/frames.h"

#include <algorithm>
#include <cstdint>
#include <memory>

namespace penstock::io {

namespace {

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define PENSTOCK_KEEPS_NO_FRAMES
#endif
#endif
#ifdef PENSTOCK_KEEPS_NO_FRAMES
constexpr bool kKeeps = false;
#else
constexpr bool kKeeps = true;
#endif

// Sizes are of the form 16 n + 8: with malloc's own eight bytes, nothing of a piece lies idle.
constexpr std::size_t kStep = 16;
constexpr std::size_t kOffset = 8;
constexpr std::size_t kClasses = (kFrameBytesMax - kOffset) / kStep + 1;
static_assert((kFrameBytesMax - kOffset) % kStep == 0);

struct Kept {
  Kept* next;
};

// Trivial, so that finding it costs nothing: a loop empties it at its end.
struct Class {
  Kept* first;
  std::uint32_t count;
  std::uint32_t unused;  // The fewest that were there since the last trim.
};
constinit thread_local Class classes[kClasses] = {};

bool IsKept(std::size_t bytes) { return kKeeps && bytes != 0 && bytes <= kFrameBytesMax; }
std::size_t IndexOf(std::size_t bytes) { return (bytes + kStep - 1 - kOffset) / kStep; }
std::size_t RoundUp(std::size_t bytes) { return IndexOf(bytes) * kStep + kOffset; }

void Drop(Class& of, std::uint32_t frames) {
  for (of.count -= frames; frames > 0; --frames) {
    Kept* const frame = of.first;
    of.first = frame->next;
    ::operator delete(frame);
  }
}

}  // namespace

const bool kKeepsFrames = kKeeps;

void* AllocateFrame(std::size_t bytes) {
  if (!IsKept(bytes)) return ::operator new(bytes);
  Class& of = classes[IndexOf(bytes)];
  if (of.first == nullptr) return ::operator new(RoundUp(bytes));
  Kept* const frame = of.first;
  of.first = frame->next;
  of.unused = std::min(of.unused, --of.count);
  return frame;
}

void FreeFrame(void* frame, std::size_t bytes) noexcept {
  Class* const of = IsKept(bytes) ? &classes[IndexOf(bytes)] : nullptr;
  if (of == nullptr || of->count == kFramesMax) {
    ::operator delete(frame);
    return;
  }
  of->first = std::construct_at(static_cast<Kept*>(frame), of->first);
  ++of->count;
}

void ReleaseFrames() noexcept {
  for (Class& of : classes) {
    Drop(of, of.count);
    of.unused = 0;
  }
}

std::size_t KeptFrames() noexcept {
  std::size_t frames = 0;
  for (const Class& of : classes) frames += of.count;
  return frames;
}

bool TrimFrames() noexcept {
  bool more = false;
  for (Class& of : classes) {
    Drop(of, of.unused);
    of.unused = of.count;
    more = more || of.count > 0;
  }
  return more;
}

}  // namespace penstock::io
