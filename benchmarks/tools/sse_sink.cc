// sse_sink: sends a fixed number of streamed completions over a few connections and reports the
// throughput.
//
//   sse_sink port=8080 streams=8 requests=64 prompt_tokens=256 output_tokens=64 vocabulary=32000
//   seed=1
// Each prompt is a list of random token ids, so no tokenizer, template or prefix cache comes
// between two servers. Prints one line of JSON.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "http_message.h"
#include "poller.h"
#include "sink.h"
#include "socket.h"
#include "words.h"

namespace {

using measure::Nanoseconds;

double Milliseconds(Nanoseconds time) { return static_cast<double>(time.count()) / 1e6; }

// The value that a share of `fraction` of the samples does not exceed; 0 without samples.
// Never less than the fraction says: of few samples the greatest.
double Quantile(std::vector<Nanoseconds>& samples, double fraction) {
  if (samples.empty()) return 0;
  const auto last = static_cast<double>(samples.size() - 1);
  const auto at = samples.begin() + static_cast<std::ptrdiff_t>(std::ceil(fraction * last));
  std::nth_element(samples.begin(), at, samples.end());
  return Milliseconds(*at);
}

struct Load {
  int streams = 8;
  long requests = 64;
  long prompt_tokens = 256;
  long output_tokens = 64;
  long vocabulary = 32'000;
  std::string model = {};
  std::string sampling = {};  // More members of the request, as JSON text.
};

// Asks, and keeps what the answers say.
class Driver {
 public:
  Driver(Load load, unsigned long seed)
      : load_(std::move(load)), random_(seed), asked_(load_.streams), last_(load_.streams) {}

  std::optional<std::string> NextBody(int connection) {
    if (sent_ == load_.requests) return std::nullopt;
    ++sent_;
    // Ids from the middle of the vocabulary: no control tokens, which stand at its ends.
    std::uniform_int_distribution<long> token(load_.vocabulary / 8, load_.vocabulary / 2);
    std::string prompt;
    for (long i = 0; i < load_.prompt_tokens; ++i) {
      prompt += (i > 0 ? "," : "") + std::to_string(token(random_));
    }
    asked_[static_cast<std::size_t>(connection)] = measure::Now();
    last_[static_cast<std::size_t>(connection)] = {};
    return fmt::format(R"({{"model":"{}","prompt":[{}],"max_tokens":{},"stream":true,)"
                       R"("stream_options":{{"include_usage":true}}{}{}}})",
                       load_.model, prompt, load_.output_tokens, load_.sampling.empty() ? "" : ",",
                       load_.sampling);
  }

  void OnEvents(int connection) {
    const Nanoseconds now = measure::Now();
    Nanoseconds& last = last_[static_cast<std::size_t>(connection)];
    if (last.count() == 0) {
      first_token_.push_back(now - asked_[static_cast<std::size_t>(connection)]);
    } else {
      gaps_.push_back(now - last);
    }
    last = now;
  }

  void OnResponse(const std::string& body) {
    prompt_tokens_ += measure::JsonNumber(body, "prompt_tokens").value_or(0);
    output_tokens_ += measure::JsonNumber(body, "completion_tokens").value_or(0);
  }

  void Report(const measure::Sink& sink, Nanoseconds elapsed) {
    const double seconds = static_cast<double>(elapsed.count()) / 1e9;
    fmt::print(
        "{{\"responses\":{},\"failures\":{},\"seconds\":{:.4f},\"prompt_tokens\":{},"
        "\"output_tokens\":{},\"output_tokens_per_s\":{:.2f},\"first_token_p50_ms\":{:.3f},"
        "\"first_token_p99_ms\":{:.3f},\"gap_p50_ms\":{:.3f},\"gap_p99_ms\":{:.3f},"
        "\"gap_max_ms\":{:.3f}}}\n",
        sink.totals().responses, sink.totals().failures, seconds, prompt_tokens_, output_tokens_,
        static_cast<double>(output_tokens_) / seconds, Quantile(first_token_, 0.5),
        Quantile(first_token_, 0.99), Quantile(gaps_, 0.5), Quantile(gaps_, 0.99),
        Quantile(gaps_, 1));
    if (!sink.first_failure().empty()) fmt::print(stderr, "sse_sink: {}\n", sink.first_failure());
  }

 private:
  const Load load_;
  std::mt19937_64 random_;
  long sent_ = 0;
  std::vector<Nanoseconds> asked_;
  std::vector<Nanoseconds> last_;
  std::vector<Nanoseconds> first_token_;
  std::vector<Nanoseconds> gaps_;
  long prompt_tokens_ = 0;
  long output_tokens_ = 0;
};

}  // namespace

int main(int count, char** arguments) {
  measure::Words words = measure::Words::FromArguments(count, arguments);
  Load load{.streams = static_cast<int>(words.TakeNumber("streams", 8))};
  load.requests = words.TakeNumber("requests", load.requests);
  load.prompt_tokens = words.TakeNumber("prompt_tokens", load.prompt_tokens);
  load.output_tokens = words.TakeNumber("output_tokens", load.output_tokens);
  load.vocabulary = words.TakeNumber("vocabulary", load.vocabulary);
  load.model = words.TakeText("model", "bench");
  load.sampling = words.TakeText("sampling", "");
  Driver driver(load, static_cast<unsigned long>(words.TakeNumber("seed", 1)));
  measure::SinkOptions options{.port = static_cast<std::uint16_t>(words.TakeNumber("port", 0))};
  options.path = words.TakeText("path", "/v1/completions");
  options.key = words.TakeText("key", "");
  const Nanoseconds limit = std::chrono::seconds(words.TakeNumber("limit_s", 120));
  words.CheckAllTaken();
  options.connections = load.streams;
  options.keep_responses = true;
  options.next_body = [&driver](int connection) { return driver.NextBody(connection); };
  options.on_events = [&driver](int connection, int) { driver.OnEvents(connection); };
  options.on_response = [&driver](int, const std::string& body) { driver.OnResponse(body); };

  measure::Poller poller;
  const Nanoseconds start = measure::Now();
  measure::Sink sink(poller, options);
  while (!sink.all_finished() && measure::Now() - start < limit) {
    sink.OpenMore();
    poller.Poll(std::chrono::milliseconds(100));
  }
  driver.Report(sink, measure::Now() - start);
  return sink.all_finished() && sink.totals().failures == 0 ? 0 : 1;
}
