// A recursive descent over a regular expression.
#include "api/pattern_grammar.h"

#include <fmt/format.h>

#include <cctype>
#include <optional>

#include "api/code_points.h"

namespace penstock::internal {
namespace {

const CodePoints kDigits = {{'0', '9'}};
const CodePoints kWordCharacters = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
const CodePoints kSpaces = {{'\t', '\r'}, {' ', ' '}};
const CodePoints kLineEnds = {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};

class PatternReader {
 public:
  explicit PatternReader(std::string_view pattern) : left_(pattern) {}

  Result<std::string> Read() {
    const std::string anything = kLineEnds.Complement().InJsonString() + "*";
    const bool from_start = Take('^');
    bool to_end = false;
    std::string body = Alternatives(0);
    if (!failure_.empty()) return Refused();
    to_end = ended_;
    if (!left_.empty()) return Fail(Code::kInvalidArgument, "has an unmatched )");
    if ((from_start || to_end) && branches_at_top_) {
      return Fail(Code::kInvalidArgument, "has ^ or $ in one of several alternatives");
    }
    std::string out;
    if (!from_start) out += anything + " ";
    out += body;
    if (!to_end) out += " " + anything;
    return out;
  }

 private:
  Result<std::string> Refused() const { return Fail(Code::kInvalidArgument, failure_); }
  bool Take(char c) {
    if (left_.empty() || left_.front() != c) return false;
    left_.remove_prefix(1);
    return true;
  }
  void Refuse(std::string why) {
    if (failure_.empty()) failure_ = std::move(why);
    left_ = {};
  }

  std::string Alternatives(int depth) {
    if (depth > kPatternDepthMax) {
      Refuse(fmt::format("nests more than {} groups", kPatternDepthMax));
      return {};
    }
    std::string out = Sequence(depth);
    bool several = false;
    while (!ended_ && Take('|')) {
      several = true;
      if (depth == 0) branches_at_top_ = true;
      out += " | " + Sequence(depth);
    }
    return several ? "(" + out + ")" : out;
  }

  std::string Sequence(int depth) {
    std::string out;
    while (!left_.empty() && left_.front() != '|' && left_.front() != ')') {
      if (depth == 0 && left_ == "$") {
        ended_ = true;
        left_ = {};
        break;
      }
      std::string atom = Atom(depth);
      if (!failure_.empty()) return {};
      out += (out.empty() ? "" : " ") + Quantified(std::move(atom));
    }
    return out.empty() ? "\"\"" : out;
  }

  std::string Atom(int depth) {
    const char c = left_.front();
    if (c == '(') return Group(depth);
    if (c == '[') {
      left_.remove_prefix(1);
      return Written(Class());
    }
    if (c == '.') {
      left_.remove_prefix(1);
      return Written(kLineEnds.Complement());
    }
    if (c == '^' || c == '$') {
      Refuse("has ^ or $ elsewhere than at its ends");
      return {};
    }
    if (c == '*' || c == '+' || c == '?' || c == '{' || c == '}' || c == ']') {
      Refuse(fmt::format("has {} where nothing stands to repeat or to close", c));
      return {};
    }
    return Written(Character());
  }

  std::string Group(int depth) {
    left_.remove_prefix(1);
    if (left_.starts_with("?:")) {
      left_.remove_prefix(2);
    } else if (left_.starts_with("?")) {
      Refuse("has a group that begins with (? and is none of (?:...)");
      return {};
    }
    std::string inner = Alternatives(depth + 1);
    if (failure_.empty() && !Take(')')) Refuse("has an unmatched (");
    return "(" + inner + ")";
  }

  std::string Written(const CodePoints& points) {
    if (!failure_.empty()) return {};
    std::string text = points.InJsonString();
    if (text.empty()) Refuse("has a class that no character is in");
    return text;
  }

  std::string Quantified(std::string atom) {
    std::string quantifier;
    if (left_.starts_with('*') || left_.starts_with('+') || left_.starts_with('?')) {
      quantifier = left_.front();
      left_.remove_prefix(1);
    } else if (Take('{')) {
      quantifier = Braces();
    } else {
      return atom;
    }
    if (!left_.empty() && std::string_view("*+?{").contains(left_.front())) {
      Refuse("has a quantifier behind a quantifier");
    }
    return atom + quantifier;
  }

  std::string Braces() {
    const std::optional<int> least = Number();
    std::optional<int> most = least;
    if (Take(',')) most = Number();
    if (!least || !Take('}') || (most && *most < *least)) {
      Refuse("has braces that are none of {m}, {m,}, {m,n}");
      return {};
    }
    if (std::max(*least, most.value_or(0)) > kRepetitionsMax) {
      Refuse(fmt::format("repeats more than {} times", kRepetitionsMax));
      return {};
    }
    return most ? fmt::format("{{{},{}}}", *least, *most) : fmt::format("{{{},}}", *least);
  }

  std::optional<int> Number() {
    std::optional<int> number;
    while (!left_.empty() && std::isdigit(static_cast<unsigned char>(left_.front())) != 0) {
      number = std::min(number.value_or(0) * 10 + (left_.front() - '0'), 1'000'000);
      left_.remove_prefix(1);
    }
    return number;
  }

  // What stands between brackets; the first of them has been taken.
  CodePoints Class() {
    CodePoints points;
    const bool inverted = Take('^');
    while (failure_.empty() && !Take(']')) {
      if (left_.empty()) {
        Refuse("has an unmatched [");
        break;
      }
      const CodePoints low = Character();
      const bool single = low.ranges().size() == 1 && low.ranges()[0].first == low.ranges()[0].last;
      if (left_.size() < 2 || left_[0] != '-' || left_[1] == ']') {
        points.Add(low);
        continue;
      }
      left_.remove_prefix(1);
      const CodePoints high = Character();
      if (!failure_.empty()) break;
      if (!single || high.ranges().size() != 1 || high.ranges()[0].first < low.ranges()[0].first ||
          high.ranges()[0].first != high.ranges()[0].last) {
        Refuse("has a range that is none");
        break;
      }
      points.Add(low.ranges()[0].first, high.ranges()[0].first);
    }
    return inverted ? points.Complement() : points;
  }

  // One character, or what a backslash makes of it.
  CodePoints Character() {
    if (!Take('\\')) {
      const std::uint32_t point = CodePoint();
      return {{point, point}};
    }
    if (left_.empty()) {
      Refuse("ends with a backslash");
      return {};
    }
    const char c = left_.front();
    left_.remove_prefix(1);
    switch (c) {
      case 'd':
        return kDigits;
      case 'D':
        return kDigits.Complement();
      case 'w':
        return kWordCharacters;
      case 'W':
        return kWordCharacters.Complement();
      case 's':
        return kSpaces;
      case 'S':
        return kSpaces.Complement();
      case 'n':
        return {{'\n', '\n'}};
      case 'r':
        return {{'\r', '\r'}};
      case 't':
        return {{'\t', '\t'}};
      default:
        break;
    }
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || (c & 0x80) != 0) {
      Refuse(fmt::format("has \\{}", (c & 0x80) != 0 ? '?' : c));
    }
    const auto point = static_cast<std::uint8_t>(c);
    return {{point, point}};
  }

  // The next character of the pattern, which is valid UTF-8.
  std::uint32_t CodePoint() {
    const auto lead = static_cast<std::uint8_t>(left_.front());
    const std::size_t size = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (size > left_.size()) {
      Refuse("is no UTF-8");
      return 0;
    }
    std::uint32_t point = size == 1 ? lead : lead & (0xFFU >> (size + 1));
    for (std::size_t i = 1; i < size; ++i) {
      point = point << 6 | (static_cast<std::uint8_t>(left_[i]) & 0x3FU);
    }
    left_.remove_prefix(size);
    return point;
  }

  std::string_view left_;
  std::string failure_;
  bool ended_ = false;  // By a $ at the end.
  bool branches_at_top_ = false;
};

}  // namespace

Result<std::string> GrammarOfPattern(std::string_view pattern) {
  if (pattern.size() > kPatternBytesMax) {
    return Fail(Code::kInvalidArgument, fmt::format("has {} bytes; at most {} are allowed",
                                                    pattern.size(), kPatternBytesMax));
  }
  return PatternReader(pattern).Read();
}

#define PENSTOCK_YEAR_LEAP R"((\d\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00))"
#define PENSTOCK_DATE                                                           \
  R"((\d{4}-(0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|\d{4}-(0[469]|11)-(0[1-9]|)" \
  R"([12]\d|30)|\d{4}-02-(0[1-9]|1\d|2[0-8])|)" PENSTOCK_YEAR_LEAP "-02-29)"
#define PENSTOCK_TIME \
  R"(([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+\-]([01]\d|2[0-3]):[0-5]\d))"

std::string_view PatternOfFormat(std::string_view format) {
  if (format == "date") return "^" PENSTOCK_DATE "$";
  if (format == "time") return "^" PENSTOCK_TIME "$";
  if (format == "date-time") return "^" PENSTOCK_DATE "T" PENSTOCK_TIME "$";
  if (format == "uuid") return "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";
  if (format == "ipv4") {
    return R"(^((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)$)";
  }
  if (format == "email") {
    return "^[a-zA-Z0-9_+\\-]{1,32}(\\.[a-zA-Z0-9_+\\-]{1,32}){0,1}@"
           "[a-zA-Z0-9]([a-zA-Z0-9\\-]{0,30}[a-zA-Z0-9])?"
           "(\\.[a-zA-Z0-9]([a-zA-Z0-9\\-]{0,30}[a-zA-Z0-9])?){1,4}$";
  }
  return {};
}

#undef PENSTOCK_YEAR_LEAP
#undef PENSTOCK_DATE
#undef PENSTOCK_TIME

}  // namespace penstock::internal
