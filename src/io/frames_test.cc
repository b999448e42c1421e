#include "io/frames.h"

#include <gtest/gtest.h>

#include <cstring>
#include <utility>
#include <vector>

#include "base/random.h"

namespace penstock::io {
namespace {

// Random lives of many frames: each holds its own bytes until it is freed, whoever had the memory
// before.
TEST(Frames, HoldTheirBytes) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Random random(seed);
    struct Frame {
      unsigned char* at;
      std::size_t bytes;
      unsigned char mark;
    };
    std::vector<Frame> frames;
    const auto free_at = [&](std::size_t index) {
      const Frame frame = frames[index];
      for (std::size_t i = 0; i < frame.bytes; ++i) ASSERT_EQ(frame.at[i], frame.mark) << seed;
      FreeFrame(frame.at, frame.bytes);
      frames[index] = frames.back();
      frames.pop_back();
    };
    for (int i = 0; i < 5000; ++i) {
      if (!frames.empty() && random.Below(2) == 0) {
        free_at(random.Below(frames.size()));
      } else {
        const std::size_t bytes = 1 + random.Below(2 * kFrameBytesMax);
        const auto mark = static_cast<unsigned char>(random.Below(256));
        auto* const at = static_cast<unsigned char*>(AllocateFrame(bytes));
        std::memset(at, mark, bytes);
        frames.push_back({at, bytes, mark});
      }
    }
    while (!frames.empty()) free_at(frames.size() - 1);
    ReleaseFrames();
  }
}

TEST(Frames, MoreThanAreKeptAreGivenBack) {
  std::vector<void*> frames;
  for (std::size_t i = 0; i < 2 * kFramesMax; ++i) frames.push_back(AllocateFrame(100));
  for (void* const frame : frames) FreeFrame(frame, 100);
  for (void*& frame : frames) frame = AllocateFrame(128);  // Of the same class.
  for (void* const frame : frames) FreeFrame(frame, 128);
  ReleaseFrames();
}

}  // namespace
}  // namespace penstock::io
