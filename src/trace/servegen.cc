#include "trace/servegen.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/distributions.h"
#include "trace/columns.h"
#include "trace/csv.h"

namespace penstock::trace {
namespace {

constexpr std::int64_t kDefaultWindowS = 600;
constexpr std::string_view kColumns[] = {"start", "rate", "cv", "distribution", "shape", "scale"};

std::optional<double> NumberOf(std::string_view text) {
  double number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  if (!std::isfinite(number) || number < 0) return std::nullopt;
  return number;
}

Result<ClientWindow> ReadWindow(const std::vector<std::string>& cells, std::size_t row) {
  if (cells.size() < std::size(kColumns)) {
    return FailAt(row, kColumns[cells.size()], "the row ends before it");
  }
  const auto wrong = [&](std::size_t place, std::string_view wanted) {
    return FailAt(row, kColumns[place],
                  fmt::format("'{}' is not {}", cells[place].substr(0, 60), wanted));
  };
  ClientWindow window;
  const auto start = NumberOf(cells[0]);
  if (!start || *start > 1e9) return wrong(0, "a number of seconds");
  window.start_s = static_cast<std::int64_t>(*start);
  const auto rate = NumberOf(cells[1]);
  if (!rate) return wrong(1, "a rate");
  window.rate_per_s = *rate;
  if (window.rate_per_s <= 0) return window;
  if (cells[3] != "Gamma" && cells[3] != "Weibull") return wrong(3, "Gamma or Weibull");
  window.weibull = cells[3] == "Weibull";
  const auto shape = NumberOf(cells[4]);
  if (!shape || *shape < 1e-3 || *shape > 1e6) return wrong(4, "a shape");
  window.shape = *shape;
  const auto scale = NumberOf(cells[5]);
  if (!scale || *scale <= 0) return wrong(5, "a scale");
  window.scale_s = *scale;
  return window;
}

// One entry of a dataset file.
Result<LengthDistribution> ReadLengths(simdjson::dom::element part, std::string_view start,
                                       std::string_view name) {
  std::string_view text;
  if (part[name].get(text) != simdjson::SUCCESS) {
    return Fail(Code::kCorrupt, fmt::format("\"{}\" has no \"{}\"", start, name));
  }
  auto lengths = LengthDistribution::Parse(text);
  if (!lengths) {
    return Fail(Code::kCorrupt,
                fmt::format("\"{}\", \"{}\": {}", start, name, lengths.error().message));
  }
  return lengths;
}

const ClientLengths& LengthsAt(const Client& client, std::int64_t second) {
  const ClientLengths* found = &client.lengths.front();
  for (const ClientLengths& lengths : client.lengths) {
    if (lengths.start_s <= second) found = &lengths;
  }
  return *found;
}

// The arrivals of one client within one window.
class WindowDraw {
 public:
  WindowDraw(const Client& client, const ClientWindow& window, const DrawOptions& options)
      : lengths_(LengthsAt(client, window.start_s)), window_(window), options_(options) {}

  Status Into(Trace& trace, std::int64_t end_s, Random& random) const {
    const auto end = static_cast<double>(end_s);
    // The first gap began before the window did: some part of it is over.
    double at_s = static_cast<double>(window_.start_s) + Gap(random) * random.Uniform();
    for (; at_s < end; at_s += Gap(random)) {
      if (at_s < static_cast<double>(options_.from_s)) continue;
      if (at_s >= static_cast<double>(options_.from_s + options_.span_s)) break;
      if (trace.arrivals.size() >= kArrivalsMax) {
        return Fail(Code::kTooLarge,
                    fmt::format("the span holds more than {} requests", kArrivalsMax));
      }
      trace.arrivals.push_back({.at_ns = std::llround(at_s * 1e9),
                                .input_tokens = lengths_.input.Draw(random),
                                .output_tokens = lengths_.output.Draw(random)});
    }
    return {};
  }

 private:
  double Gap(Random& random) const {
    const double unit =
        window_.weibull ? DrawWeibull(random, window_.shape) : DrawGamma(random, window_.shape);
    // Never so short that a window has no end.
    return std::max(unit * window_.scale_s / options_.rate_factor, 1e-7);
  }

  const ClientLengths& lengths_;
  const ClientWindow& window_;
  const DrawOptions& options_;
};

}  // namespace

Result<LengthDistribution> LengthDistribution::Parse(std::string_view text) {
  const auto skip = [&text] {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\n')) text.remove_prefix(1);
  };
  const auto take = [&](char c) {
    skip();
    if (text.empty() || text.front() != c) return false;
    text.remove_prefix(1);
    return true;
  };
  const auto number = [&]() -> std::optional<double> {
    skip();
    const std::size_t end = std::min(text.find_first_of(":,} "), text.size());
    const auto value = NumberOf(text.substr(0, end));
    text.remove_prefix(end);
    return value;
  };
  LengthDistribution lengths;
  double sum = 0;
  double weighted = 0;
  if (!take('{')) return Fail(Code::kCorrupt, "it does not begin with '{'");
  while (!take('}')) {
    const auto value = number();
    if (!value || *value > static_cast<double>(kTokensMax)) {
      return Fail(Code::kCorrupt, "a length is not a number of tokens");
    }
    if (!take(':')) return Fail(Code::kCorrupt, "a length has no ':' behind it");
    const auto weight = number();
    if (!weight) return Fail(Code::kCorrupt, "a weight is not a number from 0 on");
    if (*weight > 0) {
      sum += *weight;
      weighted += *weight * std::floor(*value);
      lengths.cumulative_.emplace_back(sum, static_cast<int>(*value));
    }
    static_cast<void>(take(','));
    skip();
    if (text.empty()) return Fail(Code::kCorrupt, "it does not end with '}'");
  }
  if (!std::isfinite(sum)) return Fail(Code::kCorrupt, "the weights are too large");
  if (sum > 0) lengths.mean_ = weighted / sum;
  return lengths;
}

int LengthDistribution::Draw(Random& random) const {
  const double at = random.Uniform() * cumulative_.back().first;
  const auto found = std::ranges::upper_bound(cumulative_, at, {}, &std::pair<double, int>::first);
  return found == cumulative_.end() ? cumulative_.back().second : found->second;
}

Result<std::vector<ClientWindow>> ParseClientWindows(std::string_view text) {
  CsvRows rows(text);
  std::vector<std::string> cells;
  std::vector<ClientWindow> windows;
  while (rows.Next(cells)) {
    const auto window = ReadWindow(cells, rows.row());
    if (!window) return Fail(window.error());
    if (!windows.empty() && window->start_s <= windows.back().start_s) {
      return FailAt(rows.row(), kColumns[0], "the windows are not in order of time");
    }
    windows.push_back(*window);
  }
  if (windows.empty()) return Fail(Code::kCorrupt, "there is no window in it");
  return windows;
}

Result<std::vector<ClientLengths>> ParseClientLengths(std::string_view text) {
  simdjson::dom::parser parser;
  simdjson::dom::object root;
  const simdjson::padded_string padded(text);
  if (const auto error = parser.parse(padded).get(root)) {
    return Fail(Code::kCorrupt,
                fmt::format("not a JSON object: {}", simdjson::error_message(error)));
  }
  std::vector<ClientLengths> all;
  for (const auto [key, part] : root) {
    const auto start = NumberOf(key);
    if (!start || *start > 1e9) {
      return Fail(Code::kCorrupt, fmt::format("\"{}\" is not a number of seconds", key));
    }
    auto input = ReadLengths(part, key, "input_tokens");
    if (!input) return Fail(input.error());
    auto output = ReadLengths(part, key, "output_tokens");
    if (!output) return Fail(output.error());
    if (input->empty() || output->empty()) continue;
    all.push_back({.start_s = static_cast<std::int64_t>(*start),
                   .input = std::move(*input),
                   .output = std::move(*output)});
  }
  if (root.size() == 0) return Fail(Code::kCorrupt, "there is no distribution in it");
  std::ranges::sort(all, {}, &ClientLengths::start_s);
  return all;
}

Result<Trace> DrawArrivals(const std::vector<Client>& clients, const DrawOptions& options) {
  Trace trace{.format = "servegen"};
  for (const Client& client : clients) {
    if (client.lengths.empty()) continue;
    for (std::size_t i = 0; i < client.windows.size(); ++i) {
      const ClientWindow& window = client.windows[i];
      const std::int64_t end_s = i + 1 < client.windows.size() ? client.windows[i + 1].start_s
                                                               : window.start_s + kDefaultWindowS;
      const bool outside =
          end_s <= options.from_s || window.start_s >= options.from_s + options.span_s;
      if (window.rate_per_s <= 0 || outside) continue;
      // Its own sequence, so that one client's changes leave the others as they are.
      Random random(options.seed * 0x9E3779B97F4A7C15u +
                    static_cast<std::uint64_t>(client.number) * 0xBF58476D1CE4E5B9u +
                    static_cast<std::uint64_t>(window.start_s));
      const WindowDraw draw(client, window, options);
      if (auto drawn = draw.Into(trace, end_s, random); !drawn) return Fail(drawn.error());
    }
  }
  if (trace.arrivals.empty()) {
    return Fail(Code::kCorrupt, fmt::format("no client sends anything from second {} to {}",
                                            options.from_s, options.from_s + options.span_s));
  }
  Normalise(trace);
  return trace;
}

}  // namespace penstock::trace
