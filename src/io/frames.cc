#include "io/frames.h"

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

constexpr std::size_t kStep = 64;
constexpr std::size_t kClasses = kFrameBytesMax / kStep;

struct Kept {
  Kept* next;
};

// Trivial, so that finding it costs nothing: a loop empties it at its end.
struct Class {
  Kept* first;
  std::uint32_t count;
};
constinit thread_local Class classes[kClasses] = {};

bool IsKept(std::size_t bytes) { return kKeeps && bytes != 0 && bytes <= kFrameBytesMax; }
Class& ClassOf(std::size_t bytes) { return classes[(bytes - 1) / kStep]; }
std::size_t RoundUp(std::size_t bytes) { return (bytes + kStep - 1) / kStep * kStep; }

}  // namespace

void* AllocateFrame(std::size_t bytes) {
  if (!IsKept(bytes)) return ::operator new(bytes);
  Class& of = ClassOf(bytes);
  if (of.first == nullptr) return ::operator new(RoundUp(bytes));
  Kept* const frame = of.first;
  of.first = frame->next;
  --of.count;
  return frame;
}

void FreeFrame(void* frame, std::size_t bytes) noexcept {
  Class* const of = IsKept(bytes) ? &ClassOf(bytes) : nullptr;
  if (of == nullptr || of->count == kFramesMax) {
    ::operator delete(frame);
    return;
  }
  of->first = std::construct_at(static_cast<Kept*>(frame), of->first);
  ++of->count;
}

void ReleaseFrames() noexcept {
  for (Class& of : classes) {
    while (of.first != nullptr) {
      Kept* const frame = of.first;
      of.first = frame->next;
      ::operator delete(frame);
    }
    of.count = 0;
  }
}

}  // namespace penstock::io
