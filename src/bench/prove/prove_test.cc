// Proofs against sellers whose virtues and vices are known, on a virtual clock.
#include "bench/prove/prove.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>

#include "bench/prove/fake_seller.h"
#include "bench/prove/prove_gather.h"
#include "bench/prove/prove_report.h"
#include "bench/record/test_records.h"
#include "http/http_testing.h"
#include "io/sim/sim_loop.h"

namespace penstock::bench {
namespace {

using http::testing::Must;
using http::testing::Site;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::FakeSeller;

constexpr int kInput = 80;
constexpr int kOutput = 20;

ProofTerms Terms() {
  return {.sold_tokens_per_s = 1000,
          .budget = *Budget::Parse("ttft_p95<200ms,tpot_p95<20ms,errors<1%"),
          .input_tokens = kInput,
          .output_tokens = kOutput,
          .windows = 5,
          .window = seconds(10),
          .warmup = seconds(3),
          .rest = seconds(5),
          .retries = 4};
}

// A seller, its buyer and a neighbour on one simulated loop.
struct Bed {
  Bed() : seller(loop), corpus(Corpus::Shipped()) {
    seller.request_tokens = kInput + kOutput;
    seller.model.template_tokens = 0;
  }

  io::SimLoop loop;
  FakeSeller seller;
  Corpus corpus;
  ProofTerms terms = Terms();
  bool has_neighbour = false;
  Duration stop_after{};
  ProofEvidence evidence;
  OnProofProgress on_progress{};

  Driver MakeDriver(const io::Address& address, const std::string& key) {
    DriverSettings settings;
    settings.endpoint = Must(Endpoint::FromUrl("http://" + address.ToString()));
    settings.origin = Must(http::Origin::From(Must(http::Url::Parse(settings.endpoint.origin))));
    settings.model = "m";
    settings.api_key = key;
    settings.workers_max = 64;
    settings.start = loop.Now();
    Mix mix = Must(Mix::Parse(""));
    mix.parts.front().input = Lengths::Fixed(kInput);
    mix.parts.front().output = Lengths::Fixed(kOutput);
    return Driver(loop, settings, Composer(corpus, {.mix = mix}),
                  [](const RequestRecord&, const Texts&) {});
  }
};

io::Task<void> StopLater(Bed& bed, Driver& driver) {
  static_cast<void>(co_await bed.loop.Sleep(bed.stop_after));
  driver.Stop();
}

io::Task<void> ProofTask(Bed& bed) {
  Site site(bed.loop, bed.seller.handler());
  {
    Driver buyer = bed.MakeDriver(site.address, "buyer");
    Driver neighbour = bed.MakeDriver(site.address, "neighbour");
    io::TaskScope scope(bed.loop);
    if (bed.stop_after > Duration{}) scope.Spawn("stop", StopLater(bed, buyer));
    co_await buyer.RunStoppable(
        GatherProof({.buyer = &buyer, .neighbour = bed.has_neighbour ? &neighbour : nullptr},
                    bed.terms, bed.evidence, bed.on_progress));
    co_await scope.Join();
  }
  co_await site.Close();
}

Proof Prove(Bed& bed) {
  io::RunBlocking(bed.loop, ProofTask(bed));
  return JudgeProof(bed.terms, bed.evidence, testing::MakeHeader());
}

Kept KeptOf(const Proof& proof, std::string_view name) { return proof.Find(name)->kept; }

TEST(Prove, AnHonestSellerKeepsEveryPromise) {
  Bed bed;
  bed.has_neighbour = true;
  const Proof proof = Prove(bed);
  EXPECT_TRUE(proof.kept) << ProofAnswer(proof);
  for (const Promise& promise : proof.promises) {
    EXPECT_EQ(promise.kept, Kept::kKept) << promise.name << ": " << promise.evidence;
  }
  ASSERT_EQ(proof.windows.size(), 5u);
  for (const ProofWindow& window : proof.windows) {
    EXPECT_EQ(window.due, 100);
    EXPECT_EQ(window.answered, 100);
    EXPECT_GE(window.delivered_tokens_per_s, 980);
  }
  EXPECT_EQ(proof.beyond_factor, 2);
  EXPECT_GT(proof.refusals.refused, 50);
  EXPECT_EQ(proof.retries.size(), 4u);
  EXPECT_GT(proof.neighbour_refused, 100);
  EXPECT_EQ(proof.digest.size(), 64u);
  const std::string page = RenderProofPage(proof);
  EXPECT_NE(page.find("Kept what was sold"), std::string::npos);
  EXPECT_NE(page.find(proof.digest), std::string::npos);
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_NE(RenderProofMarkdown(proof).find("| **kept** |"), std::string::npos);
  EXPECT_NE(RenderProofText(proof).find("Kept: 1,000 tokens/s were delivered in each of 5 windows"),
            std::string::npos)
      << RenderProofText(proof);
  EXPECT_NE(RenderProofJson(proof).find("\"kept\":true"), std::string::npos);
}

// Sold in PTU: an output token counts as several, for the seller as for the proof.
TEST(Prove, OutputTokensCountAsTheyWereSold) {
  Bed bed;
  bed.terms.output_weight = 4;
  bed.seller.request_tokens = kInput + 4 * kOutput;
  const Proof proof = Prove(bed);
  EXPECT_EQ(KeptOf(proof, "delivery"), Kept::kKept) << proof.Find("delivery")->evidence;
  EXPECT_EQ(KeptOf(proof, "refusal"), Kept::kKept) << proof.Find("refusal")->evidence;
  EXPECT_DOUBLE_EQ(bed.terms.RequestsPerSecond(), 1000.0 / 160);
  for (const ProofWindow& window : proof.windows) {
    EXPECT_GE(window.delivered_tokens_per_s, 980);
    EXPECT_LE(window.delivered_tokens_per_s, 1100);
  }
  EXPECT_NE(SoldText(proof.terms).find("an output token counted as 4"), std::string::npos);
}

TEST(Prove, OneLateWindowBreaksIt) {
  Bed bed;
  bed.seller.late_from = seconds(24);  // Warm-up 3 s, windows of 10 s: the third.
  bed.seller.late_to = seconds(30);
  const Proof proof = Prove(bed);
  EXPECT_FALSE(proof.kept);
  EXPECT_EQ(KeptOf(proof, "delivery"), Kept::kBroken);
  for (const ProofWindow& window : proof.windows) {
    EXPECT_EQ(window.on_time, window.number != 3) << window.number;
    EXPECT_TRUE(window.delivered);
  }
  const std::string& evidence = proof.Find("delivery")->evidence;
  EXPECT_NE(evidence.find("window 3"), std::string::npos) << evidence;
  EXPECT_NE(evidence.find("ttft_p95"), std::string::npos) << evidence;
  // The answer names what broke, and leaves the evidence to the promises.
  EXPECT_TRUE(ProofAnswer(proof).starts_with("Broken: delivery, of 1,000 tokens/s within ttft_p95"))
      << ProofAnswer(proof);
  EXPECT_EQ(ProofAnswer(proof).find("window 3"), std::string::npos) << ProofAnswer(proof);
}

TEST(Prove, ASellerOfLessThanItSaysBreaksIt) {
  Bed bed;
  bed.seller.tokens_per_s = 900;
  const Proof proof = Prove(bed);
  EXPECT_EQ(KeptOf(proof, "delivery"), Kept::kBroken);
  EXPECT_FALSE(proof.windows.back().delivered);
  EXPECT_GT(proof.windows.back().refused, 0);
}

TEST(Prove, ALyingRetryAfterBreaksIt) {
  Bed bed;
  bed.seller.retry_after_factor = 0.3;
  const Proof proof = Prove(bed);
  EXPECT_EQ(KeptOf(proof, "delivery"), Kept::kKept) << proof.Find("delivery")->evidence;
  EXPECT_EQ(KeptOf(proof, "retry_after"), Kept::kBroken) << proof.Find("retry_after")->evidence;
  EXPECT_FALSE(proof.kept);
}

TEST(Prove, RefusalsMustBePromptAndNameATime) {
  Bed slow;
  slow.seller.refusal_takes = seconds(3);
  EXPECT_EQ(KeptOf(Prove(slow), "refusal"), Kept::kBroken);
  Bed mute;
  mute.seller.tells_retry_after = false;
  const Proof proof = Prove(mute);
  EXPECT_EQ(KeptOf(proof, "refusal"), Kept::kBroken);
  EXPECT_EQ(KeptOf(proof, "retry_after"), Kept::kNotTested);
  EXPECT_NE(proof.Find("refusal")->evidence.find("without Retry-After"), std::string::npos);
}

TEST(Prove, ASharedBucketIsNoIsolation) {
  Bed bed;
  bed.has_neighbour = true;
  bed.seller.shared = true;
  const Proof proof = Prove(bed);
  EXPECT_EQ(KeptOf(proof, "delivery"), Kept::kKept) << proof.Find("delivery")->evidence;
  EXPECT_EQ(KeptOf(proof, "neighbour"), Kept::kBroken);
}

TEST(Prove, WhoServesEverythingIsNotBlamed) {
  Bed bed;
  bed.seller.refuses = false;
  int ends = 0;
  bed.on_progress = [&ends](const ProgressState& state) {
    if (state.stage == "beyond" && state.done == state.total) ++ends;
  };
  const Proof proof = Prove(bed);
  EXPECT_TRUE(proof.kept) << ProofAnswer(proof);
  EXPECT_EQ(ends, 3) << "twice, four and eight times the rate, each told how far it is";
  EXPECT_EQ(proof.beyond_factor, 8);
  EXPECT_EQ(KeptOf(proof, "refusal"), Kept::kNotTested);
  EXPECT_EQ(KeptOf(proof, "retry_after"), Kept::kNotTested);
  EXPECT_EQ(KeptOf(proof, "neighbour"), Kept::kNotTested);
}

TEST(Prove, StoppedEarlyItProvesNothing) {
  Bed bed;
  bed.stop_after = seconds(20);
  const Proof proof = Prove(bed);
  EXPECT_FALSE(proof.kept);
  EXPECT_EQ(KeptOf(proof, "delivery"), Kept::kNotTested);
  EXPECT_GT(bed.evidence.delivery.requests.size(), 100u);
  EXPECT_NE(ProofAnswer(proof).find("Not proven"), std::string::npos);
}

// Ctrl-C after the windows: what was sold was delivered, but not all was tried.
TEST(Prove, StoppedLaterItSaysSo) {
  bool between = false;
  for (int stop_s = 20; stop_s < 400 && !between; stop_s += 2) {
    Bed bed;
    bed.stop_after = seconds(stop_s);
    const Proof proof = Prove(bed);
    between = bed.evidence.delivery.done && !bed.evidence.beyond.done &&
              !bed.evidence.beyond.requests.empty();
    if (!between) continue;
    EXPECT_TRUE(proof.interrupted);
    EXPECT_FALSE(proof.kept);
    EXPECT_EQ(KeptOf(proof, "delivery"), Kept::kKept);
    EXPECT_NE(ProofAnswer(proof).find("Not proven: interrupted"), std::string::npos);
    EXPECT_NE(proof.Find("refusal")->evidence.find("interrupted after"), std::string::npos);
  }
  EXPECT_TRUE(between);
}

TEST(Prove, TermsThatProveNothingAreRefused) {
  ProofTerms terms = Terms();
  EXPECT_TRUE(terms.Check());
  EXPECT_EQ(terms.WindowRequests(), 100);
  EXPECT_DOUBLE_EQ(terms.WindowSeconds(), 10);
  terms.budget = {};
  EXPECT_EQ(terms.Check().error().field, "budget");
  terms = Terms();
  terms.sold_tokens_per_s = 10;
  EXPECT_EQ(terms.Check().error().field, "window-s");
  EXPECT_NE(terms.Check().error().message.find("raise it to 50"), std::string::npos);
  terms = Terms();
  terms.windows = 0;
  EXPECT_EQ(terms.Check().error().field, "windows");
  terms = Terms();
  terms.sold_tokens_per_s = 0;
  EXPECT_EQ(terms.Check().error().field, "sold");
}

TEST(Prove, WindowsHoldWholeRequestsWhateverTheRate) {
  for (const double sold : {333.0, 1000.0, 1234.5, 99'999.0}) {
    ProofTerms terms = Terms();
    terms.sold_tokens_per_s = sold;
    ProofStage stage{.done = true, .from_ns = 12'345};
    const double rate = terms.RequestsPerSecond();
    for (std::int64_t i = 0; i < terms.WindowRequests() * terms.windows; ++i) {
      RequestRecord record = testing::MakeRecord({.tokens = kOutput, .input_tokens = kInput});
      record.scheduled_ns = stage.from_ns + std::llround(static_cast<double>(i) * 1e9 / rate);
      stage.requests.push_back(record);
    }
    const auto windows = WindowsOf(terms, stage);
    ASSERT_EQ(windows.size(), 5u);
    for (const ProofWindow& window : windows) {
      EXPECT_EQ(window.due, terms.WindowRequests()) << sold;
      EXPECT_NEAR(window.delivered_tokens_per_s, sold, sold * 1e-9);
    }
  }
}

}  // namespace
}  // namespace penstock::bench
