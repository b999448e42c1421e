// Settings as name=value words.
#include "words.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <sstream>

namespace measure {
namespace {

[[noreturn]] void Refuse(std::string_view what) {
  fmt::print(stderr, "{}\n", what);
  std::exit(2);
}

}  // namespace

Words Words::FromArguments(int count, char** arguments) {
  Words words;
  for (int i = 1; i < count; ++i) words.Add(arguments[i]);
  return words;
}

Words Words::FromLine(std::string_view line) {
  Words words;
  std::istringstream stream{std::string(line)};
  for (std::string word; stream >> word;) words.Add(word);
  return words;
}

void Words::Add(std::string_view word) {
  const std::size_t equals = word.find('=');
  if (equals == std::string_view::npos) Refuse(fmt::format("not name=value: {}", word));
  values_[std::string(word.substr(0, equals))] = word.substr(equals + 1);
}

long Words::TakeNumber(const std::string& name, long otherwise) {
  const std::string text = TakeText(name, "");
  if (text.empty()) return otherwise;
  char* end = nullptr;
  const long value = std::strtol(text.c_str(), &end, 10);
  if (*end != '\0') Refuse(fmt::format("{} is not a whole number: {}", name, text));
  return value;
}

std::string Words::TakeText(const std::string& name, const std::string& otherwise) {
  const auto found = values_.extract(name);
  return found ? found.mapped() : otherwise;
}

void Words::CheckAllTaken() const {
  if (!values_.empty()) Refuse(fmt::format("unknown setting: {}", values_.begin()->first));
}

}  // namespace measure
