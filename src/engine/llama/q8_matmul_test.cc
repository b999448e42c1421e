#include "engine/llama/q8_matmul.h"

#include <ggml.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

namespace penstock::engine {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr float kUntouched = -12345;

// `rows` rows of random blocks, scales of any sign, bytes to both ends of their range.
Bytes RandomRows(std::mt19937& random, std::int64_t rows, std::int64_t blocks,
                 std::int64_t stride) {
  Bytes bytes(static_cast<std::size_t>(rows * stride), 0xEE);
  std::uniform_real_distribution<float> scale(-0.02F, 0.02F);
  std::uniform_int_distribution<int> value(-128, 127);
  const bool extremes = random() % 4 == 0;
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < blocks; ++j) {
      std::uint8_t* block = bytes.data() + i * stride + j * kQ8BlockBytes;
      const ggml_fp16_t half = ggml_fp32_to_fp16(scale(random));
      std::memcpy(block, &half, sizeof(half));
      for (int k = 0; k < kQ8BlockValues; ++k) {
        const int byte = extremes ? (random() % 2 == 0 ? -128 : 127) : value(random);
        block[2 + k] = static_cast<std::uint8_t>(static_cast<std::int8_t>(byte));
      }
    }
  }
  return bytes;
}

struct Expected {
  double product = 0;
  double magnitude = 0;  // Sum of the summands' absolute values: what rounding is measured by.
};

Expected ProductOf(const std::uint8_t* a, const std::uint8_t* b, std::int64_t blocks) {
  Expected result;
  for (std::int64_t i = 0; i < blocks; ++i, a += kQ8BlockBytes, b += kQ8BlockBytes) {
    ggml_fp16_t half_a;
    ggml_fp16_t half_b;
    std::memcpy(&half_a, a, 2);
    std::memcpy(&half_b, b, 2);
    int dot = 0;
    for (int k = 2; k < kQ8BlockBytes; ++k) {
      dot += static_cast<std::int8_t>(a[k]) * static_cast<std::int8_t>(b[k]);
    }
    const double part =
        static_cast<double>(ggml_fp16_to_fp32(half_a)) * ggml_fp16_to_fp32(half_b) * dot;
    result.product += part;
    result.magnitude += std::fabs(part);
  }
  return result;
}

struct Problem {
  std::int64_t rows, columns, blocks;
  std::int64_t weights_stride, values_stride, results_stride;
  Bytes weights, values;

  static Problem Random(std::mt19937& random, std::int64_t rows, std::int64_t columns,
                        std::int64_t blocks) {
    Problem problem{.rows = rows, .columns = columns, .blocks = blocks};
    problem.weights_stride = (blocks + random() % 2) * kQ8BlockBytes;
    problem.values_stride = (blocks + random() % 2) * kQ8BlockBytes;
    problem.results_stride = rows + static_cast<std::int64_t>(random() % 3);
    problem.weights = RandomRows(random, rows, blocks, problem.weights_stride);
    problem.values = RandomRows(random, columns, blocks, problem.values_stride);
    return problem;
  }

  // Of `count` columns from `first` on.
  std::vector<float> Multiply(std::int64_t first, std::int64_t count, int threads) const {
    std::vector<float> results(static_cast<std::size_t>(count * results_stride), kUntouched);
    const Q8Matmul task{.rows = rows,
                        .columns = count,
                        .blocks = blocks,
                        .weights = weights.data(),
                        .weights_stride = weights_stride,
                        .values = values.data() + first * values_stride,
                        .values_stride = values_stride,
                        .results = results.data(),
                        .results_stride = results_stride};
    std::vector<std::jthread> others;
    for (int i = 1; i < threads; ++i) {
      others.emplace_back([&task, i, threads] { MultiplyQ8(task, i, threads); });
    }
    MultiplyQ8(task, 0, threads);
    return results;
  }
};

class Q8MatmulTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!CanMultiplyQ8()) GTEST_SKIP() << "no AVX-512 VNNI here";
  }
};

TEST_F(Q8MatmulTest, EqualsTheSumWrittenOut) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  for (int i = 0; i < 60; ++i) {
    const auto rows = static_cast<std::int64_t>(1 + random() % 70);
    const auto columns = static_cast<std::int64_t>(1 + random() % (i % 10 == 0 ? 300 : 30));
    const auto blocks = static_cast<std::int64_t>(1 + random() % (i % 10 == 1 ? 200 : 12));
    const Problem problem = Problem::Random(random, rows, columns, blocks);
    const auto results = problem.Multiply(0, columns, 1 + static_cast<int>(random() % 3));
    for (std::int64_t column = 0; column < columns; ++column) {
      for (std::int64_t row = 0; row < problem.results_stride; ++row) {
        const float got = results[static_cast<std::size_t>(column * problem.results_stride + row)];
        if (row >= rows) {
          ASSERT_EQ(got, kUntouched) << "behind the last row of column " << column;
          continue;
        }
        const Expected wanted =
            ProductOf(problem.weights.data() + row * problem.weights_stride,
                      problem.values.data() + column * problem.values_stride, blocks);
        ASSERT_NEAR(got, wanted.product, 1e-5 * wanted.magnitude + 1e-9)
            << rows << " x " << columns << " of " << blocks << " blocks, at " << row << ", "
            << column;
      }
    }
  }
}

// What llama.cpp's own kernels do not give: a stream's numbers are the same, whoever runs beside
// it, and whatever the number of threads.
TEST_F(Q8MatmulTest, AColumnDoesNotDependOnTheOthers) {
  std::mt19937 random(7);
  const Problem problem = Problem::Random(random, 45, 41, 9);
  const auto together = problem.Multiply(0, problem.columns, 2);
  for (std::int64_t column = 0; column < problem.columns; ++column) {
    const auto alone = problem.Multiply(column, 1, 1);
    for (std::int64_t row = 0; row < problem.rows; ++row) {
      ASSERT_EQ(alone[static_cast<std::size_t>(row)],
                together[static_cast<std::size_t>(column * problem.results_stride + row)]);
    }
  }
}

TEST_F(Q8MatmulTest, MoreThreadsThanRowsDoNothing) {
  std::mt19937 random(8);
  const Problem problem = Problem::Random(random, 3, 2, 2);
  EXPECT_EQ(problem.Multiply(0, 2, 5), problem.Multiply(0, 2, 1));
}

}  // namespace
}  // namespace penstock::engine
