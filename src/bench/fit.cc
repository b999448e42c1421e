#include "bench/fit.h"

#include <fmt/format.h>

#include <string>
#include <utility>

namespace penstock::bench {
namespace {

bool Refused(const RequestRecord& record) {
  return record.http_status == 400 || record.http_status == 422;
}

// One token may well be the text's end, or half a character: no text came, and all is well.
bool Good(const RequestRecord& record) {
  return !record.failed() || record.error == ErrorKind::kEmpty;
}

Code CodeOf(const RequestRecord& record) {
  switch (record.error) {
    case ErrorKind::kConnect:
      return Code::kUnavailable;
    case ErrorKind::kTimeout:
      return Code::kDeadline;
    case ErrorKind::kRateLimited:
      return Code::kRateLimited;
    case ErrorKind::kCancelled:
      return Code::kCancelled;
    default:
      break;
  }
  switch (record.http_status) {
    case 401:
      return Code::kUnauthenticated;
    case 403:
      return Code::kForbidden;
    case 404:
      return Code::kNotFound;
    default:
      return Code::kUpstream;
  }
}

class Fitting {
 public:
  Fitting(Driver& driver, FitLimits limits, OnFitStep on_step)
      : driver_(driver),
        limits_(limits),
        on_step_(std::move(on_step)),
        until_(driver.loop().Now() + limits.time_max) {}

  // The first request, with what the server takes of kEnforcements.
  io::Task<Status> FindEnforcement() {
    std::optional<Error> first;
    for (const Enforcement& enforcement : kEnforcements) {
      driver_.settings().enforcement = enforcement;
      const RequestRecord record = co_await Probe(0);
      if (Good(record)) {
        usage_known_ = record.input_tokens != kUnknown;
        co_return Status{};
      }
      if (!first) {
        first = Error{CodeOf(record),
                      fmt::format("{}: {}", driver_.settings().endpoint.url, record.error_message),
                      "url"};
      }
      if (!Refused(record)) break;
    }
    co_return Fail(std::move(*first));
  }

  // Asks the server's tokenizer. False where it has none, or counts unlike its usage.
  io::Task<bool> ByTokenizer() {
    const DriverSettings& settings = driver_.settings();
    if (settings.endpoint.tokenize_target.empty() || !last_tokens_) co_return false;
    const auto first = co_await CountOf(last_);
    if (!first) co_return false;
    // What a chat template adds is the same for every prompt.
    const int overhead = *last_tokens_ - *first;
    if (overhead < 0) co_return false;
    for (int count = 0; count < limits_.counts_max; ++count) {
      const auto body = driver_.composer().pool().NextToProbe();
      if (!body || Late()) break;
      const Prompt prompt = driver_.composer().pool().MakeWithBody(NextId(), *body);
      const auto tokens = co_await CountOf(prompt);
      if (!tokens) co_return false;
      Teach(prompt, *tokens + overhead);
      Tell();
    }
    co_return true;
  }

  // Asks by whole requests of one token each.
  io::Task<void> ByUsage() {
    while (probes_ < limits_.probes_max && !Late()) {
      const auto body = driver_.composer().pool().NextToProbe();
      if (!body) break;
      const RequestRecord record = co_await Probe(*body);
      // The load itself will tell what is wrong, and how often.
      if (!Good(record) || record.input_tokens == kUnknown) break;
    }
  }

  bool usage_known() const { return usage_known_; }
  int probes() const { return probes_; }

 private:
  bool Late() const { return driver_.loop().Now() >= until_; }
  std::uint64_t NextId() { return limits_.first_id + ids_++; }
  void Tell() const {
    if (on_step_) on_step_(driver_.composer().pool().settled(), driver_.composer().pool().bodies());
  }

  void Teach(const Prompt& prompt, int tokens) {
    driver_.composer().ObserveFit({.body = prompt.body,
                                   .body_bytes = prompt.body_bytes,
                                   .text_bytes = prompt.text.size(),
                                   .tokens = tokens});
  }

  io::Task<RequestRecord> Probe(int body) {
    last_ = driver_.composer().pool().MakeWithBody(NextId(), body);
    ++probes_;
    RequestRecord record = co_await driver_.Ask(limits_.first_id + ids_, last_, 1);
    if (record.input_tokens != kUnknown) {
      last_tokens_ = record.input_tokens;
      Teach(last_, record.input_tokens);
    }
    Tell();
    co_return record;
  }

  io::Task<std::optional<int>> CountOf(const Prompt& prompt) {
    const DriverSettings& settings = driver_.settings();
    const std::string body = TokenizeBody(settings.model, prompt.text);
    const auto answer = co_await driver_.Post(settings.endpoint.tokenize_target, body);
    if (!answer) co_return std::nullopt;
    const auto count = TokenCount(*answer);
    co_return count ? std::optional<int>(*count) : std::nullopt;
  }

  Driver& driver_;
  FitLimits limits_;
  OnFitStep on_step_;
  TimePoint until_;
  std::uint64_t ids_ = 0;
  int probes_ = 0;
  bool usage_known_ = false;
  Prompt last_;                     // Of the last probe.
  std::optional<int> last_tokens_;  // What the server counted in it.
};

}  // namespace

io::Task<Result<FitReport>> Fit(Driver& driver, FitLimits limits, OnFitStep on_step) {
  Fitting fitting(driver, limits, std::move(on_step));
  const Status found = co_await fitting.FindEnforcement();
  if (!found) co_return Fail(found.error());
  FitReport report;
  if (fitting.usage_known()) {
    report.by_tokenizer = co_await fitting.ByTokenizer();
    if (!report.by_tokenizer) co_await fitting.ByUsage();
  }
  report.probes = fitting.probes();
  report.error_tokens_max = driver.composer().pool().worst_error_tokens();
  co_return report;
}

}  // namespace penstock::bench
