// What admission costs a request: the whole of Arrive and Finish, prompt hashing, limits.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "base/random.h"
#include "policy/dispatcher.h"
#include "policy/prompt_hash.h"
#include "policy/rate_limiter.h"

namespace penstock::policy {
namespace {

const TimePoint kStart = TimePoint(std::chrono::seconds(1'000'000));

std::vector<ReplicaRoute> Replicas(std::size_t count) {
  std::vector<ReplicaRoute> routes;
  for (std::size_t i = 0; i < count; ++i) routes.push_back({.id = i + 1, .address = "unix:/x"});
  return routes;
}

LanePolicy Contract() {
  LanePolicy lane;
  lane.guarantee_per_s = 1e6;
  lane.cap_per_s = 2e6;
  return lane;
}

void BM_AdmitAndFinish(benchmark::State& state) {
  Dispatcher pool;
  pool.Configure({.replica_concurrency = 64}, Replicas(static_cast<std::size_t>(state.range(0))),
                 kStart);
  const LaneId lane = pool.SetLane("a", Contract(), kStart);
  TimePoint now = kStart;
  for (auto _ : state) {
    now += std::chrono::milliseconds(1);
    Answer answer = pool.Arrive({.lane = lane, .size = {.prompt_bytes = 400}}, now);
    pool.Finish(std::move(answer.grant), {.actual = TokenCounts{.input = 100, .output = 20}}, now);
  }
}
BENCHMARK(BM_AdmitAndFinish)->Arg(1)->Arg(8)->Arg(64);

// 5,000 endpoints, each with a pool of its own, one after the other: the caches are cold.
void BM_AdmitAcrossEndpoints(benchmark::State& state) {
  std::vector<std::unique_ptr<Dispatcher>> pools;
  for (int i = 0; i < 5000; ++i) {
    pools.push_back(std::make_unique<Dispatcher>());
    pools.back()->Configure({.replica_concurrency = 64}, Replicas(2), kStart);
    pools.back()->SetLane("a", Contract(), kStart);
  }
  Random random(1);
  TimePoint now = kStart;
  for (auto _ : state) {
    now += std::chrono::microseconds(1);
    Dispatcher& pool = *pools[random.Below(pools.size())];
    Answer answer = pool.Arrive({.lane = 0, .size = {.prompt_bytes = 400}}, now);
    pool.Finish(std::move(answer.grant), {.actual = TokenCounts{.input = 100, .output = 20}}, now);
  }
}
BENCHMARK(BM_AdmitAcrossEndpoints);

void BM_RateLimits(benchmark::State& state) {
  RateLimiter limiter;
  limiter.Configure({{.key = LimitKey::kUser, .calls = 1'000'000'000},
                     {.key = LimitKey::kEndpoint, .tokens = 1'000'000'000'000}});
  std::vector<std::string> users;
  for (int i = 0; i < 20; ++i) users.push_back("user-" + std::to_string(i));
  std::size_t i = 0;
  TimePoint now = kStart;
  for (auto _ : state) {
    now += std::chrono::microseconds(10);
    const Caller caller{.user = users[i++ % users.size()]};
    benchmark::DoNotOptimize(limiter.Arrive(caller, 100, now));
    limiter.Finish(caller, 100, 50, now);
  }
}
BENCHMARK(BM_RateLimits);

void BM_HashPrompt(benchmark::State& state) {
  const std::string text(static_cast<std::size_t>(state.range(0)), 'x');
  std::vector<std::uint64_t> blocks;
  for (auto _ : state) {
    blocks.clear();
    AppendBlockHashes(text, 0, blocks);
    benchmark::DoNotOptimize(blocks.data());
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_HashPrompt)->Arg(2048)->Arg(400 * 1024);

// A long prompt among eight replicas that know it: matching and inserting 800 blocks.
void BM_ChooseByPrefix(benchmark::State& state) {
  ReplicaSet set;
  set.Configure(Replicas(8), {});
  PromptPrefix prefix;
  AppendBlockHashes(std::string(400 * 1024, 'x'), 0, prefix.blocks);
  for (auto _ : state) {
    const auto replica = set.Choose(prefix, {}, kStart);
    set.Begin(*replica, 100, prefix, kStart);
    set.End(*replica, 100, ReplicaSet::Fate::kGood, kStart);
  }
}
BENCHMARK(BM_ChooseByPrefix);

}  // namespace
}  // namespace penstock::policy
