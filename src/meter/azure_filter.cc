// $filter of Azure Monitor: conditions on dimensions.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <utility>

#include "meter/azure_metrics.h"

namespace penstock::meter {
namespace {

constexpr std::size_t kConditionsMax = 64;

// Words, quoted texts and parentheses.
class Tokens {
 public:
  explicit Tokens(std::string_view text) : text_(text) {}

  bool AtEnd() {
    while (!text_.empty() && text_.front() == ' ') text_.remove_prefix(1);
    return text_.empty();
  }
  bool Take(char c) {
    if (AtEnd() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  std::string_view Word() {
    if (AtEnd()) return {};
    const auto end = std::ranges::find_if(
        text_, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_'; });
    const std::string_view word = text_.substr(0, static_cast<std::size_t>(end - text_.begin()));
    text_.remove_prefix(word.size());
    return word;
  }
  // 'It''s' is It's.
  std::optional<std::string> Quoted() {
    if (!Take('\'')) return {};
    std::string value;
    while (!text_.empty()) {
      const char c = text_.front();
      text_.remove_prefix(1);
      if (c != '\'') {
        value += c;
      } else if (!text_.empty() && text_.front() == '\'') {
        value += c;
        text_.remove_prefix(1);
      } else {
        return value;
      }
    }
    return {};
  }
  std::string_view rest() const { return text_; }

 private:
  std::string_view text_;
};

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

std::unexpected<Error> Bad(const Tokens& tokens, std::string_view wanted) {
  return Fail(Code::kInvalidArgument,
              fmt::format("$filter: expected {} before '{}'", wanted, tokens.rest().substr(0, 40)),
              "$filter");
}

Status ReadCondition(Tokens& tokens, AzureFilter& filter) {
  const std::string_view dimension = tokens.Word();
  if (dimension.empty()) return Bad(tokens, "a dimension");
  const std::string operation = Lower(tokens.Word());
  const auto value = tokens.Quoted();
  if ((operation != "eq" && operation != "ne") || !value) return Bad(tokens, "eq 'VALUE'");
  AzureCondition& condition = filter[std::string(dimension)];
  if (*value == "*") {
    condition.split = true;
  } else {
    (operation == "eq" ? condition.wanted : condition.unwanted).push_back(*value);
  }
  return {};
}

}  // namespace

bool AzureCondition::Passes(std::string_view value) const {
  const auto is = [value](const std::string& other) { return Lower(other) == Lower(value); };
  if (std::ranges::any_of(unwanted, is)) return false;
  return split || wanted.empty() || std::ranges::any_of(wanted, is);
}

// "and" binds conditions on different dimensions, "or" those on the same one: all that the API
// allows. So the words need no tree.
Result<AzureFilter> ParseAzureFilter(std::string_view text) {
  Tokens tokens(text);
  AzureFilter filter;
  if (tokens.AtEnd()) return filter;
  int depth = 0;
  for (std::size_t count = 0; count < kConditionsMax; ++count) {
    while (tokens.Take('(')) ++depth;
    if (Status read = ReadCondition(tokens, filter); !read) return Fail(read.error());
    while (depth > 0 && tokens.Take(')')) --depth;
    if (tokens.AtEnd()) {
      if (depth != 0) return Bad(tokens, "')'");
      return filter;
    }
    const std::string joint = Lower(tokens.Word());
    if (joint != "and" && joint != "or") return Bad(tokens, "and, or");
  }
  return Fail(Code::kInvalidArgument,
              fmt::format("$filter: more than {} conditions", kConditionsMax), "$filter");
}

}  // namespace penstock::meter
