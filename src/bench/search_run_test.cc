// The search against a server whose knee is known, on a virtual clock.
#include "bench/search_run.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <utility>

#include "bench/drive/driver.h"
#include "bench/drive/fake_model.h"
#include "bench/drive/load_shape.h"
#include "bench/judge/answer.h"
#include "bench/record/test_records.h"
#include "bench/report/table.h"
#include "http/http_testing.h"
#include "io/sim/sim_loop.h"

namespace penstock::bench {
namespace {

using http::testing::Must;
using http::testing::Site;
using std::chrono::milliseconds;
using testing::FakeModel;

constexpr int kKnee = 12;  // So many requests are served at full speed; beyond, all slow down.
constexpr int kOutput = 10;

struct Bed {
  Bed() : model(loop), corpus(Corpus::Shipped()) {
    model.knee = kKnee;
    model.ttft = milliseconds(50);
    model.gap = milliseconds(10);
  }
  io::SimLoop loop;
  FakeModel model;
  Corpus corpus;
  std::uint64_t next_id = 0;
};

struct Probe {
  Bed& bed;
  const ProbeOrder& order;
  bool open = false;
  RunRecords run{};
};

constexpr std::uint64_t kIdsPerProbe = 200'000;

DriverSettings SettingsAt(Bed& bed, const Site& site, int concurrency) {
  DriverSettings settings;
  settings.endpoint = Must(Endpoint::FromUrl("http://" + site.address.ToString()));
  settings.origin = Must(http::Origin::From(Must(http::Url::Parse(settings.endpoint.origin))));
  settings.workers_max = concurrency;
  settings.in_flight_max = 1000;
  settings.start = TimePoint{};
  static_cast<void>(bed);
  return settings;
}

// A level as Load runs it, on the simulated loop.
io::Task<void> ProbeTask(Probe& probe) {
  Bed& bed = probe.bed;
  const ProbeOrder& order = probe.order;
  const int concurrency = probe.open ? 0 : static_cast<int>(order.load);
  Site site(bed.loop, bed.model.handler());
  {
    Mix mix = Must(Mix::Parse(""));
    mix.parts.front().input = Lengths::Fixed(64);
    mix.parts.front().output = Lengths::Fixed(kOutput);
    std::atomic<bool> closed = false;
    Tickets tickets(bed.next_id, concurrency, static_cast<int>(order.samples) + concurrency);
    std::unique_ptr<Driver> driver;
    LevelRecord level{.number = order.number,
                      .concurrency = concurrency,
                      .rate_per_s = probe.open ? order.load : 0,
                      .scout = order.scout};
    bool judged = false;
    driver = std::make_unique<Driver>(
        bed.loop, SettingsAt(bed, site, concurrency), Composer(bed.corpus, {.mix = mix}),
        [&](RequestRecord record, const Texts&) {
          const Enough enough = judged ? Enough::kGoOn : order.judge(record);
          probe.run.requests.push_back(std::move(record));
          if (enough == Enough::kGoOn) return;
          judged = true;
          tickets.Close();
          closed = true;
          level.cut = enough == Enough::kCut;
          if (level.cut) bed.loop.Post([&driver] { driver->Cut(); });
        });
    const LevelMark mark{
        .number = order.number, .concurrency = concurrency, .start = bed.loop.Now()};
    if (probe.open) {
      // The warm-up: until the number in flight has settled.
      const double settle_s = order.scout ? 0 : 8 * order.latency_below_ms / 1000;
      const auto requests = static_cast<int>(order.samples + std::llround(settle_s * order.load));
      ShapeOptions shape{.arrivals = "constant", .rates = {order.load}};
      const OpenShape drawn = Must(MakeOpenShape(shape, requests, 1));
      const Schedule& schedule = drawn.levels.front().schedule;
      const LevelTimes times{.warmup_ns = std::llround(settle_s * 1e9),
                             .cooldown_ns = schedule.span_ns,
                             .end_ns = schedule.span_ns};
      co_await driver->RunOpenLevel(
          {.schedule = &schedule, .first_id = bed.next_id, .times = times, .closed = &closed},
          mark);
    } else {
      co_await driver->RunLevel(tickets, mark, concurrency);
    }
    // A cut may still be on its way.
    static_cast<void>(co_await bed.loop.Sleep(milliseconds(1)));
    bed.next_id += kIdsPerProbe;
    probe.run.levels.push_back(level);
  }
  co_await site.Close();
}

struct Found {
  RunRecords run;
  SearchEnd end{};
  int probes = 0;
};

Found Search(Bed& bed, std::string_view budget_text, const SearchLimits& limits,
             Duration time_max = {}) {
  const Budget budget = *Budget::Parse(budget_text);
  Found found{.run = {.header = testing::MakeHeader()}};
  found.run.header.settings.budget = budget.Text();
  const std::atomic<bool> stop = false;
  const auto ended = RunSearch(
      {.limits = limits,
       .budget = budget,
       .samples_max = DefaultSamplesMax(budget),
       .time_max = time_max,
       .now = [&bed] { return bed.loop.Now(); }},
      [&](const ProbeOrder& order) -> Result<RunRecords> {
        ++found.probes;
        Probe probe{.bed = bed, .order = order, .open = !limits.whole};
        io::RunBlocking(bed.loop, ProbeTask(probe));
        return std::move(probe.run);
      },
      stop, found.run);
  EXPECT_TRUE(ended);
  found.end = ended.value_or(SearchEnd::kNotEnded);
  return found;
}

TEST(SearchRun, FindsTheKneeOfAServerExactly) {
  Bed bed;
  // Twice the gap of an idle server: with 24 at once, each gap is 20 ms.
  const Found found = Search(bed, "tpot_p95<20.5ms,errors<1%", {.most = 512});
  EXPECT_EQ(found.end, SearchEnd::kFound);
  const RunSummary summary = Summarise(found.run);
  ASSERT_TRUE(summary.within_budget);
  const LevelSummary& best = summary.levels[*summary.within_budget];
  EXPECT_EQ(best.concurrency, 24);
  EXPECT_TRUE(best.verdict.proven);
  EXPECT_NE(Answer(summary).find("at concurrency 24"), std::string::npos) << Answer(summary);
  EXPECT_NE(Answer(summary).find("At concurrency 25 it breaks: tpot_p95"), std::string::npos)
      << Answer(summary);
  // Scouts stand in the table, and say so; nothing is made of their verdicts.
  EXPECT_TRUE(summary.levels.front().scout);
  EXPECT_NE(RemarkOf(summary, 0).find("looked at only"), std::string::npos);
  // Probes that broke were ended by their judge, and nobody is warned of that.
  for (const LevelSummary& level : summary.levels) {
    if (!level.verdict.passes && !level.scout) EXPECT_LT(level.succeeded, 130) << level.concurrency;
    for (const Warning& warning : level.warnings) {
      EXPECT_NE(warning.name, "interrupted") << level.concurrency;
      EXPECT_NE(warning.severity, Severity::kInvalid) << warning.message;
    }
  }
}

// Open loop: at the bound of 20.5 ms a gap 24.6 streams run, a request takes 50 + 9 × 20.5 ms, so
// that by Little's law 24.6 ÷ 0.2345 s = 104.9 requests/s is the most.
TEST(SearchRun, FindsTheKneeByRateToo) {
  Bed bed;
  const Found found = Search(
      bed, "tpot_p95<20.5ms,errors<1%",
      {.whole = false, .start = 1, .least = 0.01, .most = 10'000, .growth = 4, .gain_min = -1});
  EXPECT_EQ(found.end, SearchEnd::kFound);
  const RunSummary summary = Summarise(found.run);
  ASSERT_TRUE(summary.within_budget) << RenderTable(summary);
  const LevelSummary& best = summary.levels[*summary.within_budget];
  EXPECT_NEAR(best.rate_per_s, 104.9, 0.05 * 104.9);
  EXPECT_EQ(best.concurrency, 0);
  EXPECT_TRUE(best.verdict.proven);
  EXPECT_LE(found.probes, 25);
  EXPECT_NE(Answer(summary).find(" requests/s: tpot_p95"), std::string::npos) << Answer(summary);
}

TEST(SearchRun, SaysWhichPartCannotBeMetAndByHowMuch) {
  Bed bed;
  const Found found = Search(bed, "ttft_p95<40ms,tpot_p95<20ms", {.most = 512});
  EXPECT_EQ(found.end, SearchEnd::kCannotBeMet);
  const std::string answer = Answer(Summarise(found.run));
  EXPECT_NE(answer.find("cannot be met: already at concurrency 1, ttft_p95 5"), std::string::npos)
      << answer;
  EXPECT_NE(answer.find("% over"), std::string::npos) << answer;
  EXPECT_EQ(answer.find("tpot_p95 "), std::string::npos) << answer;
}

TEST(SearchRun, EndsWhenItsTimeIsUp) {
  Bed bed;
  // Enough for some scouts, and for no judged probe.
  const Found found =
      Search(bed, "tpot_p95<20.5ms", {.most = 512}, std::chrono::milliseconds(2500));
  EXPECT_EQ(found.end, SearchEnd::kTimeMax);
  const std::string answer = Answer(Summarise(found.run));
  EXPECT_NE(answer.find("The search ended before"), std::string::npos) << answer;
  EXPECT_NE(answer.find("--search-max-s"), std::string::npos) << answer;
}

// The early stop of a judged probe is the binomial test's: p95 needs 130 requests without any over,
// a hopeless load a handful.
TEST(SearchRun, ProbesEndAsSoonAsTheBinomialTestIsSure) {
  Bed bed;
  const Found found = Search(bed, "tpot_p95<20.5ms", {.most = 512});
  const RunSummary summary = Summarise(found.run);
  for (const LevelSummary& level : summary.levels) {
    if (level.scout) continue;
    EXPECT_TRUE(level.verdict.proven) << level.concurrency;
    if (level.concurrency <= 24) {
      EXPECT_GE(level.verdict.judged, 130);
      EXPECT_LT(level.verdict.judged, 150);
    } else {
      EXPECT_LE(level.verdict.judged, 5);
    }
  }
}

TEST(SearchRun, StopsWhenAsked) {
  Bed bed;
  RunRecords run{.header = testing::MakeHeader()};
  const std::atomic<bool> stop = true;
  const auto ended = RunSearch(
      {.budget = *Budget::Parse("errors<1%"), .samples_max = 100},
      [](const ProbeOrder&) -> Result<RunRecords> { return Fail(Code::kUpstream, "no"); }, stop,
      run);
  ASSERT_TRUE(ended);
  EXPECT_EQ(*ended, SearchEnd::kNotEnded);
}

}  // namespace
}  // namespace penstock::bench
