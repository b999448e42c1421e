#include "bench/drive/fit.h"

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

// What to look at, where a server takes no request at all; "" where its own words are all there is.
std::string_view WhatToDo(const RequestRecord& record, const DriverSettings& settings) {
  if (record.http_status == 401 || record.http_status == 403) {
    return settings.api_key.empty() ? "; no key was given: PENSTOCK_API_KEY or --api-key-file"
                                    : "; is the key that was given one of this server?";
  }
  if (record.http_status == 404) {
    return settings.model.empty() ? "; is this its API's path, and does it want a --model?"
                                  : "; is this its API's path, and --model a name that it knows?";
  }
  if (record.error == ErrorKind::kNotStream) {
    return "; is this its API's path?";
  }
  return "";
}

class Fitting {
 public:
  Fitting(Driver& driver, FitLimits limits, OnFitStep on_step)
      : driver_(driver),
        limits_(limits),
        on_step_(std::move(on_step)),
        until_(driver.loop().Now() + limits.time_max) {}

  // The first request, with what the server takes of kEnforcements. A prompt may be refused for its
  // length, where a token is far shorter than the first guess: then a part of it tells how far.
  io::Task<Status> FindEnforcement() {
    std::optional<Error> first = co_await TryEnforcements();
    if (first && refused_ && co_await ByAPart()) {
      std::optional<Error> second = co_await TryEnforcements();
      if (!second) first.reset();
    }
    if (first) co_return Fail(std::move(*first));
    co_return Status{};
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
    const std::string part = PartOf(last_);
    if (const auto tokens = co_await CountOf({.text = part})) LearnSlope(part, *tokens + overhead);
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
    if (Late() || last_.text.empty()) co_return;
    const Prompt part{.text = PartOf(last_)};
    ++probes_;
    const RequestRecord record = co_await driver_.Ask(NextId(), part, 1);
    if (Good(record) && record.input_tokens > 0) LearnSlope(part.text, record.input_tokens);
  }

  bool usage_known() const { return usage_known_; }
  int probes() const { return probes_; }

 private:
  bool Late() const { return driver_.loop().Now() >= until_; }
  std::uint64_t NextId() { return limits_.first_id + ids_++; }
  void Tell() const {
    if (on_step_) on_step_(driver_.composer().pool().settled(), driver_.composer().pool().bodies());
  }

  // None once the server has taken a request.
  io::Task<std::optional<Error>> TryEnforcements() {
    std::optional<Error> first;
    for (const Enforcement& enforcement : kEnforcements) {
      driver_.settings().enforcement = enforcement;
      const RequestRecord record = co_await Probe(0);
      refused_ = Refused(record);
      if (Good(record)) {
        usage_known_ = record.input_tokens != kUnknown;
        co_return std::nullopt;
      }
      if (!first) {
        first = Error{CodeOf(record),
                      fmt::format("{}: {}{}", driver_.settings().endpoint.url, record.error_message,
                                  WhatToDo(record, driver_.settings())),
                      "url"};
      }
      if (!refused_) break;
    }
    co_return first;
  }

  // Sends a sixteenth of the first prompt, to learn how long the whole one is. False where that is
  // refused, too, or the prompt was not too long.
  io::Task<bool> ByAPart() {
    constexpr std::size_t kParts = 16;
    PromptPool& pool = driver_.composer().pool();
    for (const Enforcement& enforcement : kEnforcements) {
      driver_.settings().enforcement = enforcement;
      const Prompt whole = pool.MakeWithBody(NextId(), 0);
      Prompt part = whole;
      std::size_t end = whole.text.size() / kParts;
      while (end > 0 && (static_cast<unsigned char>(whole.text[end]) & 0xC0) == 0x80) --end;
      part.text.resize(end);
      ++probes_;
      const RequestRecord record = co_await driver_.Ask(limits_.first_id + ids_, part, 1);
      if (!Good(record)) continue;
      if (record.input_tokens <= 0) co_return false;
      // A template's tokens count many times over: the next guess is too short, and is corrected.
      const auto tokens = static_cast<double>(record.input_tokens) *
                          static_cast<double>(whole.text.size()) / static_cast<double>(end);
      pool.Observe(whole, static_cast<int>(tokens));
      co_return true;
    }
    co_return false;
  }

  // The first quarter of a prompt: prompts of one length alone do not tell how tokens grow with it.
  static std::string PartOf(const Prompt& prompt) {
    std::size_t end = prompt.text.size() / 4;
    while (end > 0 && (static_cast<unsigned char>(prompt.text[end]) & 0xC0) == 0x80) --end;
    return prompt.text.substr(0, end);
  }

  void LearnSlope(const std::string& text, int tokens) {
    driver_.composer().ObserveFit({.body = -1, .text_bytes = text.size(), .tokens = tokens});
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
  bool refused_ = false;            // The last of them, as a bad request.
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
