// The search against a server whose knee is known, on a virtual clock.
#include "bench/search_run.h"

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "bench/answer.h"
#include "bench/driver.h"
#include "bench/fake_model.h"
#include "bench/test_records.h"
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
  int concurrency;
  const std::function<Enough(const RequestRecord&)>& judge;
  RunRecords run{};
};

io::Task<void> ProbeTask(Probe& probe) {
  Bed& bed = probe.bed;
  Site site(bed.loop, bed.model.handler());
  {
    DriverSettings settings;
    settings.endpoint = Must(Endpoint::FromUrl("http://" + site.address.ToString()));
    settings.origin = Must(http::Origin::From(Must(http::Url::Parse(settings.endpoint.origin))));
    settings.workers_max = probe.concurrency;
    settings.start = TimePoint{};
    Mix mix = Must(Mix::Parse(""));
    mix.parts.front().input = Lengths::Fixed(64);
    mix.parts.front().output = Lengths::Fixed(kOutput);
    Tickets tickets(bed.next_id, probe.concurrency, 100'000);
    std::unique_ptr<Driver> driver;
    LevelRecord level{.concurrency = probe.concurrency};
    bool judged = false;
    driver = std::make_unique<Driver>(bed.loop, settings, Composer(bed.corpus, {.mix = mix}),
                                      [&](RequestRecord record, const Texts&) {
                                        const Enough enough =
                                            judged ? Enough::kGoOn : probe.judge(record);
                                        probe.run.requests.push_back(std::move(record));
                                        if (enough == Enough::kGoOn) return;
                                        judged = true;
                                        tickets.Close();
                                        level.cut = enough == Enough::kCut;
                                        if (level.cut) bed.loop.Post([&driver] { driver->Cut(); });
                                      });
    co_await driver->RunLevel(tickets, {.concurrency = probe.concurrency, .start = bed.loop.Now()},
                              probe.concurrency);
    bed.next_id += 200'000;
    probe.run.levels.push_back(level);
  }
  co_await site.Close();
}

RunRecords Search(Bed& bed, std::string_view budget_text, SearchEnd& end) {
  const Budget budget = *Budget::Parse(budget_text);
  RunRecords run{.header = testing::MakeHeader()};
  run.header.settings.budget = budget.Text();
  const std::atomic<bool> stop = false;
  const auto ended = RunSearch(
      {.most = 512}, budget, DefaultSamplesMax(budget),
      [&bed](double load, int,
             const std::function<Enough(const RequestRecord&)>& judge) -> Result<RunRecords> {
        Probe probe{.bed = bed, .concurrency = static_cast<int>(load), .judge = judge};
        io::RunBlocking(bed.loop, ProbeTask(probe));
        return std::move(probe.run);
      },
      stop, run);
  EXPECT_TRUE(ended);
  end = ended.value_or(SearchEnd::kNotEnded);
  return run;
}

TEST(SearchRun, FindsTheKneeOfAServerExactly) {
  Bed bed;
  SearchEnd end{};
  // Twice the gap of an idle server: with 24 at once, each gap is 20 ms.
  const RunRecords run = Search(bed, "tpot_p95<20.5ms,errors<1%", end);
  EXPECT_EQ(end, SearchEnd::kFound);
  const RunSummary summary = Summarise(run);
  ASSERT_TRUE(summary.within_budget);
  const LevelSummary& best = summary.levels[*summary.within_budget];
  EXPECT_EQ(best.concurrency, 24);
  EXPECT_TRUE(best.verdict.proven);
  EXPECT_NE(Answer(summary).find("at concurrency 24"), std::string::npos) << Answer(summary);
  EXPECT_NE(Answer(summary).find("At concurrency 25 it breaks: tpot_p95"), std::string::npos)
      << Answer(summary);
  // Probes that broke were ended by their judge, and nobody is warned of that.
  for (const LevelSummary& level : summary.levels) {
    if (!level.verdict.passes) EXPECT_LT(level.succeeded, 130) << level.concurrency;
    for (const Warning& warning : level.warnings) {
      EXPECT_NE(warning.name, "interrupted") << level.concurrency;
      EXPECT_NE(warning.severity, Severity::kInvalid) << warning.message;
    }
  }
}

TEST(SearchRun, SaysWhichPartCannotBeMetAndByHowMuch) {
  Bed bed;
  SearchEnd end{};
  const RunRecords run = Search(bed, "ttft_p95<40ms,tpot_p95<20ms", end);
  EXPECT_EQ(end, SearchEnd::kCannotBeMet);
  const std::string answer = Answer(Summarise(run));
  EXPECT_NE(answer.find("cannot be met: already at concurrency 1, ttft_p95 5"), std::string::npos)
      << answer;
  EXPECT_NE(answer.find("% over"), std::string::npos) << answer;
  EXPECT_EQ(answer.find("tpot_p95 "), std::string::npos) << answer;
}

TEST(SearchRun, StopsWhenAsked) {
  Bed bed;
  RunRecords run{.header = testing::MakeHeader()};
  const std::atomic<bool> stop = true;
  const auto ended = RunSearch(
      {}, *Budget::Parse("errors<1%"), 100,
      [](double, int, const auto&) -> Result<RunRecords> { return Fail(Code::kUpstream, "no"); },
      stop, run);
  ASSERT_TRUE(ended);
  EXPECT_EQ(*ended, SearchEnd::kNotEnded);
}

}  // namespace
}  // namespace penstock::bench
