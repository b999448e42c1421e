#include "meter/exposition.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>

namespace penstock::meter {
namespace {

void Append(std::string& out, std::uint64_t value) {
  const fmt::format_int text(value);
  out.append(text.data(), text.size());
}

void Append(std::string& out, double value) {
  if (value >= 0 && value < 1e15 && value == std::floor(value)) {
    Append(out, static_cast<std::uint64_t>(value));
  } else if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
  } else {
    fmt::format_to(std::back_inserter(out), "{}", value);
  }
}

}  // namespace

std::string EscapeLabel(std::string_view value) {
  std::string escaped;
  for (const char c : value) {
    if (c == '\n') {
      escaped += "\\n";
      continue;
    }
    if (c == '\\' || c == '"') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

void Exposition::Family(std::string_view name, std::string_view type, std::string_view help) {
  name_ = name;
  out_.append("# HELP ").append(name).append(" ").append(help);
  out_.append("\n# TYPE ").append(name).append(" ").append(type).append("\n");
}

void Exposition::Begin(std::string_view suffix, std::string_view labels) {
  out_.append(name_).append(suffix);
  if (!labels.empty()) out_.append("{").append(labels).append("}");
  out_ += ' ';
}

void Exposition::Sample(std::string_view labels, std::uint64_t value) {
  Begin({}, labels);
  Append(out_, value);
  out_ += '\n';
}

void Exposition::Sample(std::string_view labels, double value) {
  Begin({}, labels);
  Append(out_, value);
  out_ += '\n';
}

void Exposition::Sample(std::string_view labels, const Histogram& histogram) {
  std::uint64_t sum = 0;
  const auto bucket = [&](std::string_view bound) {
    out_.append(name_).append("_bucket{").append(labels).append(",le=\"").append(bound);
    out_.append("\"} ");
    Append(out_, sum);
    out_ += '\n';
  };
  const auto bounds = histogram.bounds();
  for (std::size_t i = 0; i < bounds.size(); ++i) {
    sum += histogram.count(i);
    bucket(bounds[i].text);
  }
  sum += histogram.count(bounds.size());
  bucket("+Inf");
  Begin("_sum", labels);
  Append(out_, histogram.sum_s());
  out_ += '\n';
  Begin("_count", labels);
  Append(out_, sum);
  out_ += '\n';
}

}  // namespace penstock::meter
