// Settings given as words of the form name=value, on a command line or on a line of input.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace measure {

class Words {
 public:
  // Exits with 2 on a word that is not name=value, naming it.
  static Words FromArguments(int count, char** arguments);
  static Words FromLine(std::string_view line);

  // Each takes a setting out, or gives `otherwise` when it was not given. Exits with 2 on what is
  // not a number.
  long TakeNumber(const std::string& name, long otherwise);
  std::string TakeText(const std::string& name, const std::string& otherwise);

  // Exits with 2 if a setting was given that nobody took.
  void CheckAllTaken() const;

 private:
  void Add(std::string_view word);
  std::map<std::string, std::string> values_;
};

}  // namespace measure
