#include "engine/llama/attention_kernel.h"

#include <ggml.h>
#include <gtest/gtest.h>

#include <barrier>
#include <cmath>
#include <limits>
#include <random>
#include <thread>
#include <vector>

namespace penstock::engine {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// A task with its memory: [stream][key][head][size] as a cache has it.
struct Problem {
  AttentionTask task;
  std::vector<float> query, results;
  std::vector<ggml_fp16_t> key, value, mask;

  static Problem Random(std::mt19937& random) {
    const auto up_to = [&random](int most) {
      return static_cast<std::int64_t>(1 + random() % most);
    };
    Problem problem;
    AttentionTask& task = problem.task;
    task.streams = up_to(3);
    task.key_heads = up_to(3);
    task.heads = task.key_heads * up_to(4);
    task.queries = random() % 3 == 0 ? 1 : up_to(40);
    task.keys = up_to(random() % 2 == 0 ? 70 : 300);
    task.size = 16 * up_to(9);
    task.scale = 1 / std::sqrt(static_cast<float>(task.size));
    problem.Fill(random);
    return problem;
  }

  void Fill(std::mt19937& random) {
    std::normal_distribution<float> normal;
    query.resize(task.streams * task.heads * task.queries * task.size);
    for (float& each : query) each = 3 * normal(random);
    for (auto* half : {&key, &value}) {
      half->resize(task.streams * task.keys * task.key_heads * task.size);
      for (ggml_fp16_t& each : *half) each = ggml_fp32_to_fp16(normal(random));
    }
    mask.resize(task.streams * task.queries * task.keys);
    const std::uint32_t hidden =
        random() % 4;  // In 4; the mask's tail is all hidden, as a cache's.
    for (std::size_t i = 0; i < mask.size(); ++i) {
      const bool tail = static_cast<std::int64_t>(i) % task.keys > task.keys * 3 / 4 && hidden > 0;
      const bool hides = tail || random() % 4 < hidden;
      mask[i] = ggml_fp32_to_fp16(hides ? -INFINITY : 0.0F);
    }
    results.assign(query.size(), -12345);
    Point();
  }

  void Point() {
    task.query = reinterpret_cast<const char*>(query.data());
    task.query_stride = task.size * 4;
    task.query_head_stride = task.queries * task.query_stride;
    task.query_stream_stride = task.heads * task.query_head_stride;
    task.key = reinterpret_cast<const char*>(key.data());
    task.key_head_stride = task.size * 2;
    task.key_stride = task.key_heads * task.key_head_stride;
    task.key_stream_stride = task.keys * task.key_stride;
    task.value = reinterpret_cast<const char*>(value.data());
    task.value_head_stride = task.key_head_stride;
    task.value_stride = task.key_stride;
    task.value_stream_stride = task.key_stream_stride;
    task.mask = reinterpret_cast<const char*>(mask.data());
    task.mask_stride = task.keys * 2;
    task.mask_stream_stride = task.queries * task.mask_stride;
    task.results = results.data();
  }

  // One query's result, written out.
  std::vector<double> Expected(std::int64_t stream, std::int64_t head, std::int64_t at) const {
    const std::int64_t key_head = head * task.key_heads / task.heads;
    std::vector<double> products;
    double most = -kInfinity;
    for (std::int64_t j = 0; j < task.keys; ++j) {
      double product = 0;
      for (std::int64_t i = 0; i < task.size; ++i) {
        const std::size_t of_query =
            ((stream * task.heads + head) * task.queries + at) * task.size + i;
        product += static_cast<double>(query[of_query]) * Of(key, stream, j, key_head, i);
      }
      const double added = ggml_fp16_to_fp32(mask[(stream * task.queries + at) * task.keys + j]);
      products.push_back(product * task.scale + added);
      most = std::max(most, products.back());
    }
    std::vector<double> result(static_cast<std::size_t>(task.size));
    if (most == -kInfinity) return result;  // It sees nothing.
    double total = 0;
    for (std::int64_t j = 0; j < task.keys; ++j) {
      const double weight = std::exp(products[static_cast<std::size_t>(j)] - most);
      total += weight;
      for (std::int64_t i = 0; i < task.size; ++i) {
        result[static_cast<std::size_t>(i)] += weight * Of(value, stream, j, key_head, i);
      }
    }
    for (double& each : result) each /= total;
    return result;
  }

  double Of(const std::vector<ggml_fp16_t>& half, std::int64_t stream, std::int64_t j,
            std::int64_t head, std::int64_t i) const {
    return ggml_fp16_to_fp32(
        half[((stream * task.keys + j) * task.key_heads + head) * task.size + i]);
  }

  // `splits`: threads may share keys out.
  void Attend(int threads, bool splits = false) {
    std::vector<float> shared(
        splits ? task.streams * threads * task.heads * task.queries * (task.size + 2) : 0);
    std::barrier<> barrier(threads);
    AttentionTeam team{.threads = threads};
    if (splits) {
      team.shared = shared.data();
      team.shared_floats = shared.size();
      team.wait = [](void* context) { static_cast<std::barrier<>*>(context)->arrive_and_wait(); };
      team.wait_context = &barrier;
    }
    std::vector<std::jthread> others;
    for (int i = 1; i < threads; ++i) {
      team.thread = i;
      others.emplace_back([this, team] { engine::Attend(task, team); });
    }
    team.thread = 0;
    engine::Attend(task, team);
  }
};

TEST(AttentionKernel, EqualsTheSumWrittenOut) {
  if (!CanAttend(64)) GTEST_SKIP() << "no AVX-512 here";
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 60; ++round) {
    Problem problem = Problem::Random(random);
    const AttentionTask& task = problem.task;
    problem.Attend(1 + static_cast<int>(random() % 3), random() % 2 == 0);
    for (std::int64_t stream = 0; stream < task.streams; ++stream) {
      for (std::int64_t at = 0; at < task.queries; at += 1 + random() % 3) {
        for (std::int64_t head = 0; head < task.heads; ++head) {
          const auto wanted = problem.Expected(stream, head, at);
          const std::size_t first = ((stream * task.queries + at) * task.heads + head) * task.size;
          for (std::int64_t i = 0; i < task.size; ++i) {
            ASSERT_NEAR(problem.results[first + i], wanted[i], 2e-5)
                << task.streams << " streams, " << task.heads << " heads on " << task.key_heads
                << ", " << task.queries << " queries, " << task.keys << " keys of " << task.size;
          }
        }
      }
    }
  }
}

TEST(AttentionKernel, ThreadsAgreeBitForBit) {
  if (!CanAttend(64)) GTEST_SKIP() << "no AVX-512 here";
  std::mt19937 random(3);
  Problem problem = Problem::Random(random);
  problem.Attend(1);
  const std::vector<float> alone = problem.results;
  problem.results.assign(alone.size(), 0);
  problem.Attend(3);
  EXPECT_EQ(problem.results, alone);
}

TEST(AttentionKernel, SizesThatItDoesNotTake) {
  for (const std::int64_t size : {0, 8, 24, 257, 272, 512}) EXPECT_FALSE(CanAttend(size)) << size;
}

}  // namespace
}  // namespace penstock::engine
