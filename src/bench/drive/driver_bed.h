// A driver and its server on one simulated loop: for tests.
#pragma once

#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "bench/drive/driver.h"
#include "bench/drive/fake_model.h"
#include "bench/drive/fit.h"
#include "http/http_testing.h"
#include "io/sim/sim_loop.h"

namespace penstock::bench::testing {

using http::testing::Must;
using http::testing::Site;

inline constexpr std::int64_t kOneWay = 100'000;  // The network's latency, always.

inline io::SimOptions ExactNetwork() {
  io::SimOptions options;
  options.latency_min = options.latency_max = std::chrono::nanoseconds(kOneWay);
  return options;
}

// A driver and its server on one simulated loop.
struct Bed {
  Bed() : model(loop), corpus(Corpus::Shipped()) {}

  // What a test changes before Run().
  io::SimLoop loop{ExactNetwork()};
  FakeModel model;
  DriverSettings settings;
  Corpus corpus;
  Mix mix = *Mix::Parse("");
  int output_tokens = kReferenceOutputTokens;
  bool server_listens = true;

  std::vector<RequestRecord> records;
  std::vector<RequestRecord> probes;  // Those of Phase::kFit.
  std::vector<Texts> texts;
  std::int64_t unsent = 0;
  std::optional<Result<FitReport>> fitted;

  Driver MakeDriver(const io::Address& address) {
    settings.endpoint = Must(Endpoint::FromUrl("http://" + address.ToString()));
    settings.origin = Must(http::Origin::From(Must(http::Url::Parse(settings.endpoint.origin))));
    settings.model = "m";
    settings.start = loop.Now();
    mix.parts.front().output = Lengths::Fixed(output_tokens);
    return Driver(loop, settings, Composer(corpus, {.mix = mix}),
                  [this](RequestRecord record, Texts said) {
                    (record.phase == Phase::kFit ? probes : records).push_back(std::move(record));
                    texts.push_back(std::move(said));
                  });
  }
};

inline io::Task<void> LevelTask(Bed& bed, int concurrency, int warmup, int measured) {
  Site site(bed.loop, bed.model.handler());
  if (!bed.server_listens) co_await site.Close();
  {
    Driver driver = bed.MakeDriver(site.address);
    Tickets tickets(100, warmup, measured);
    co_await driver.RunLevel(tickets, {.concurrency = concurrency, .start = bed.loop.Now()},
                             concurrency);
  }
  if (bed.server_listens) co_await site.Close();
}

inline void RunLevel(Bed& bed, int concurrency, int warmup, int measured) {
  io::RunBlocking(bed.loop, LevelTask(bed, concurrency, warmup, measured));
}

}  // namespace penstock::bench::testing
