// A server for tests that sells throughput: a bucket of tokens per key, with known virtues and
// vices.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "bench/drive/fake_model.h"

namespace penstock::bench::testing {

struct FakeSeller {
  explicit FakeSeller(io::Loop& on) : loop(on), model(on) {}

  io::Loop& loop;
  FakeModel model;
  double tokens_per_s = 1000;  // That each key bought.
  double depth_s = 2;          // Seconds of it that a bucket holds.
  int request_tokens = 0;      // Cost of each request.
  bool refuses = true;         // Else all are served.
  bool tells_retry_after = true;
  double retry_after_factor = 1;  // Below 1 it lies.
  bool shared = false;            // One bucket for all keys: no isolation.
  Duration refusal_takes{};
  // Within this span, counted from the first request, every first token is late.
  Duration late_from{};
  Duration late_to{};
  Duration late_by = std::chrono::seconds(5);
  int refused = 0;

  http::Handler handler() {
    return [this](http::Exchange& exchange) { return Answer(*this, exchange); };
  }

 private:
  struct Bucket {
    double tokens = 0;
    TimePoint at;
  };

  // Milliseconds until there is room; 0: taken.
  double Take(const std::string& key) {
    const TimePoint now = loop.Now();
    const double depth = tokens_per_s * depth_s;
    const auto [place, fresh] = buckets_.try_emplace(shared ? "" : key, Bucket{depth, now});
    Bucket& bucket = place->second;
    bucket.tokens = std::min(depth, bucket.tokens + tokens_per_s * Seconds(now - bucket.at));
    bucket.at = now;
    if (bucket.tokens + 1e-6 >= request_tokens) {
      bucket.tokens -= request_tokens;
      return 0;
    }
    return std::ceil((request_tokens - bucket.tokens) / tokens_per_s * 1000);
  }

  static io::Task<void> Answer(FakeSeller& seller, http::Exchange& exchange) {
    if (!seller.begun_) seller.begun_ = seller.loop.Now();
    const std::string key(exchange.head().fields.Get("authorization"));
    const double wait_ms = seller.refuses ? seller.Take(key) : 0;
    if (wait_ms > 0) {
      ++seller.refused;
      static_cast<void>(co_await seller.loop.Sleep(seller.refusal_takes));
      const std::string hint =
          std::to_string(static_cast<long long>(wait_ms * seller.retry_after_factor));
      const std::string body = R"({"error":{"message":"over what was provisioned"}})";
      if (seller.tells_retry_after) {
        static_cast<void>(
            co_await exchange.Respond(429, "application/json", body, {{"retry-after-ms", hint}}));
      } else {
        static_cast<void>(co_await exchange.Respond(429, "application/json", body));
      }
      co_return;
    }
    const Duration since = seller.loop.Now() - *seller.begun_;
    if (since >= seller.late_from && since < seller.late_to) {
      static_cast<void>(co_await seller.loop.Sleep(seller.late_by));
    }
    const http::Handler model = seller.model.handler();
    co_await model(exchange);
  }

  std::map<std::string, Bucket> buckets_;
  std::optional<TimePoint> begun_;
};

}  // namespace penstock::bench::testing
