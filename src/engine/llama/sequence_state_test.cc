#include "engine/llama/sequence_state.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace penstock::engine {
namespace {

CellShape RandomShape(Random& random) {
  CellShape shape{.magic = 0x1234, .layers = {}};
  for (std::uint64_t i = 0; i <= random.Below(3); ++i) {
    shape.layers.push_back({.key_type = 1,
                            .key_row_bytes = 2 * (1 + random.Below(40)),
                            .value_type = 1,
                            .value_bytes = 2,
                            .values = 1 + random.Below(40)});
  }
  return shape;
}

std::vector<std::uint8_t> RandomCells(Random& random, const CellShape& shape, int cells) {
  std::vector<std::uint8_t> bytes(shape.cell_bytes() * static_cast<std::size_t>(cells));
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random.Next());
  return bytes;
}

// Whatever the layout, the streams, and how cells are cut into pieces: what is written reads the
// same.
TEST(SequenceState, WhatIsWrittenReadsTheSame) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const CellShape shape = RandomShape(random);
    const int first = 1 + static_cast<int>(random.Below(70));
    const int second = 1 + static_cast<int>(random.Below(70));
    const int used = static_cast<int>(random.Below(static_cast<std::uint64_t>(second) + 1));
    const auto a = RandomCells(random, shape, first);
    const auto b = RandomCells(random, shape, second);
    std::vector<std::uint8_t> cells[2];
    for (const bool transposed : {false, true}) {
      std::vector<std::uint8_t> state;
      const CellPiece pieces[] = {{a, first, first}, {b, second, used}};
      const StateTarget target{.streams = 1 + static_cast<std::uint32_t>(random.Below(9)),
                               .values_transposed = transposed};
      WriteState(shape, target, pieces, state);
      const auto view = ReadState(state);
      ASSERT_TRUE(view.has_value()) << view.error().message;
      EXPECT_EQ(view->cells, first + used);
      EXPECT_EQ(view->shape, shape);
      EXPECT_EQ(view->values_transposed, transposed);
      std::vector<std::uint8_t> read;
      AppendCells(*view, 0, first, read);
      EXPECT_EQ(read, a);
      AppendCells(*view, first, used, cells[transposed ? 1 : 0]);
    }
    EXPECT_EQ(cells[0], cells[1]);
  }
}

TEST(SequenceState, RefusesWhatItDoesNotKnow) {
  Random random(7);
  const CellShape shape = RandomShape(random);
  const auto cells = RandomCells(random, shape, 5);
  std::vector<std::uint8_t> state;
  const CellPiece piece{cells, 5, 5};
  WriteState(shape, {.streams = 2, .values_transposed = true}, {&piece, 1}, state);
  ASSERT_TRUE(ReadState(state).has_value());
  for (std::size_t size = 0; size < state.size(); ++size) {
    EXPECT_FALSE(ReadState({state.data(), size}).has_value()) << "cut at " << size;
  }
  state.push_back(0);
  EXPECT_FALSE(ReadState(state).has_value()) << "something behind it";
  state.pop_back();
  state[16] = 3;  // The first cell's position.
  EXPECT_FALSE(ReadState(state).has_value());
  for (int i = 0; i < 2000; ++i) {  // Nothing that it is given makes it read beyond the bytes.
    std::vector<std::uint8_t> broken = state;
    broken[random.Below(std::min<std::size_t>(broken.size(), 120))] =
        static_cast<std::uint8_t>(random.Next());
    (void)ReadState(broken);
  }
}

}  // namespace
}  // namespace penstock::engine
