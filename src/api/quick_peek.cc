// What the Peeker does, for plain bodies and the fields that most of them have.
#include "api/quick_peek.h"

#include <algorithm>
#include <limits>

#include "api/quick_json.h"
#include "api/requests.h"

namespace penstock::internal {
namespace {

class QuickPeeker {
 public:
  QuickPeeker(std::string_view body, RequestPeek& peek) : body_(body), json_(body), peek_(peek) {}

  bool Run() {
    if (json_.Next() != '{') return false;
    const std::size_t place = Offset(json_.at()) + 1;
    peek_.empty = true;
    peek_.model_offset = place;
    peek_.usage_splice = {.offset = place, .length = 0, .text = kWholeOptions};
    return json_.TakeObject([this](std::string_view key) { return ReadField(key); }) &&
           json_.AtEnd();
  }

 private:
  // By its first letter: a body has ten fields, and there are seventeen names.
  bool ReadField(std::string_view key) {
    peek_.empty = false;
    switch (key.empty() ? '\0' : key.front()) {
      case 'm':
        if (key == "model") return Once(0) && ReadModel();
        if (key == "messages") return Once(1) && ReadPrompt(peek_.has_messages);
        if (key == "max_tokens") return Once(2) && ReadTokensMax();
        if (key == "max_completion_tokens") return Once(3) && ReadTokensMax();
        return key != "max_output_tokens" && key != "max_new_tokens" && Skip();
      case 's':
        if (key == "stream") return Once(4) && ReadBool(peek_.stream);
        return key != "stream_options" && Skip();
      case 'n':
        return key == "n" ? Once(5) && ReadChoices() : Skip();
      case 'b':
        return key == "best_of" ? Once(6) && ReadChoices() : Skip();
      case 'p':
        if (key == "prompt") return Once(7) && ReadPrompt(peek_.has_prompt);
        return key != "prompt_cache_key" && Skip();
      case 'i':
        if (key == "input") return Once(8) && ReadPrompt(peek_.has_input);
        return key != "instruction" && Skip();
      default:
        return key != "tools" && key != "client_request_id" && key != "usage_context" && Skip();
    }
  }

  // A known field that is given twice is refused, in words that are the Peeker's.
  bool Once(unsigned field) {
    const unsigned before = seen_;
    seen_ |= 1u << field;
    return seen_ != before;
  }
  bool Skip() { return json_.Skip(ignored_); }

  bool ReadModel() {
    QuickJson::String model;
    if (!json_.TakeString(model) || !model.plain()) return false;
    peek_.model = model.raw;
    peek_.model_offset = Offset(model.raw.data()) - 1;
    peek_.model_length = model.raw.size() + 2;
    return true;
  }

  bool ReadBool(bool& out) {
    out = json_.Next() == 't';
    return json_.TakeWord(out ? "true" : "false");
  }

  bool ReadCount(std::uint64_t most, std::int64_t& out) {
    QuickJson::Number number;
    if (!json_.TakeNumber(number) || !number.whole) return false;
    out = static_cast<std::int64_t>(number.value);
    return number.value >= 1 && number.value <= most;
  }
  bool ReadTokensMax() {
    std::int64_t tokens = 0;
    if (!ReadCount(std::numeric_limits<std::int32_t>::max(), tokens)) return false;
    peek_.tokens_max = std::max(peek_.tokens_max.value_or(0), tokens);
    return true;
  }
  bool ReadChoices() {
    std::int64_t choices = 0;
    if (!ReadCount(kChoicesMax, choices)) return false;
    peek_.choices = std::max(peek_.choices, choices);
    return true;
  }

  bool ReadPrompt(bool& has) {
    const char first = json_.Next();  // What else a prompt may be, is to be refused by the engine.
    if (first != '"' && first != '[' && first != '{') return false;
    has = true;
    const char* const begin = json_.at();
    JsonTotals totals;
    if (!json_.Skip(totals)) return false;
    json_.Next();
    const auto size = static_cast<std::size_t>(json_.at() - begin);
    if (size > peek_.prompt_text.size()) peek_.prompt_text = body_.substr(Offset(begin), size);
    peek_.prompt_bytes += totals.string_bytes;
    peek_.prompt_characters += totals.string_characters;
    peek_.prompt_token_ids += totals.numbers;
    return true;
  }

  std::size_t Offset(const char* at) const { return static_cast<std::size_t>(at - body_.data()); }

  std::string_view body_;
  QuickJson json_;
  RequestPeek& peek_;
  JsonTotals ignored_;
  unsigned seen_ = 0;
};

}  // namespace

bool QuickPeek(std::string_view body, RequestPeek& peek) {
  return body.size() <= QuickJson::kBytesMax && QuickPeeker(body, peek).Run();
}

}  // namespace penstock::internal
