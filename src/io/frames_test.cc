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

// What one period did not use goes back at its end; what it used stays.
TEST(Frames, TrimGivesBackWhatNobodyUsed) {
  ReleaseFrames();
  std::vector<void*> frames;
  for (int i = 0; i < 10; ++i) frames.push_back(AllocateFrame(200));
  for (void* const frame : frames) FreeFrame(frame, 200);
  EXPECT_EQ(TrimFrames(), kKeepsFrames) << "they came in this period";
  for (int i = 0; i < 4; ++i) frames[static_cast<std::size_t>(i)] = AllocateFrame(200);
  for (int i = 0; i < 4; ++i) FreeFrame(frames[static_cast<std::size_t>(i)], 200);
  EXPECT_EQ(KeptFrames(), kKeepsFrames ? 10u : 0u);
  EXPECT_EQ(TrimFrames(), kKeepsFrames);
  EXPECT_EQ(KeptFrames(), kKeepsFrames ? 4u : 0u);
  EXPECT_FALSE(TrimFrames());
  EXPECT_EQ(KeptFrames(), 0u);
}

}  // namespace
}  // namespace penstock::io
