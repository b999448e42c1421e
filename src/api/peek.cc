// One walk over the top level; everything below it is checked and measured, not kept.
#include "api/peek.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "api/json_text.h"
#include "api/json_walk.h"
#include "api/quick_peek.h"
#include "api/requests.h"

namespace penstock {
namespace {

namespace od = simdjson::ondemand;
using internal::CheckValue;
using internal::JsonTotals;
using simdjson::error_code;
using simdjson::SUCCESS;

enum Field : std::uint8_t {
  kModel,
  kStream,
  kStreamOptions,
  kIncludeUsage,
  kMaxTokens,
  kMaxCompletionTokens,
  kN,
  kBestOf,
  kClientRequestId,
  kUsageContext,
  kPromptCacheKey,
  kPromptText,  // Fields that may hold the prompt: never two of the same name matter for routing.
};

struct Name {
  std::string_view text;
  Field field;
};
constexpr std::array<Name, 17> kNames = {{{"model", kModel},
                                          {"stream", kStream},
                                          {"stream_options", kStreamOptions},
                                          {"max_tokens", kMaxTokens},
                                          {"max_completion_tokens", kMaxCompletionTokens},
                                          {"max_output_tokens", kMaxCompletionTokens},
                                          {"max_new_tokens", kMaxCompletionTokens},
                                          {"prompt_cache_key", kPromptCacheKey},
                                          {"n", kN},
                                          {"best_of", kBestOf},
                                          {"client_request_id", kClientRequestId},
                                          {"usage_context", kUsageContext},
                                          {"messages", kPromptText},
                                          {"prompt", kPromptText},
                                          {"input", kPromptText},
                                          {"tools", kPromptText},
                                          {"instruction", kPromptText}}};

// Where a field may be put in: behind the opening brace.
std::size_t FieldPlace(std::string_view body) { return body.find('{') + 1; }

class Peeker {
 public:
  explicit Peeker(std::string_view body) : body_(body) {}

  Result<RequestPeek> Run(od::parser& parser) {
    od::document document;
    document_ = &document;
    od::object object;
    const simdjson::padded_string_view padded(body_, body_.size() + kJsonPadding);
    error_code error = parser.iterate(padded).get(document);
    if (!error) error = document.get_object().get(object);
    if (!error) error = ReadTop(object);
    if (!error && !internal::AtEnd(document)) error = simdjson::TRAILING_CONTENT;
    if (refusal_) return std::unexpected(std::move(*refusal_));
    if (error) return std::unexpected(internal::JsonError(error));
    return std::move(peek_);
  }

 private:
  error_code ReadTop(od::object object) {
    const std::size_t place = FieldPlace(body_);
    peek_.empty = true;
    peek_.model_offset = place;
    peek_.usage_splice = {.offset = place, .length = 0, .text = kWholeOptions};
    return internal::ForEachField(object, [this](std::string_view key, od::value value) {
      peek_.empty = false;
      return ReadField(key, value);
    });
  }

  error_code ReadField(std::string_view key, od::value value) {
    const auto* const name =
        std::find_if(kNames.begin(), kNames.end(), [key](const Name& n) { return n.text == key; });
    if (name == kNames.end()) return CheckValue(value, 1, ignored_);
    const auto index = static_cast<std::size_t>(name - kNames.begin());
    if (seen_ >> index & 1) return Refuse(key, fmt::format("`{}` is given twice", key));
    seen_ |= 1u << index;
    od::json_type type;
    if (auto error = value.type().get(type)) return error;
    // A null is as good as absent, but has a place that a splice may have to replace.
    if (type == od::json_type::null) return ReadNull(name->field, value);
    switch (name->field) {
      case kModel:
        return ReadModel(value, type);
      case kStream:
        return ReadBool(key, value, type, peek_.stream);
      case kStreamOptions:
        return ReadStreamOptions(value, type);
      case kMaxTokens:
      case kMaxCompletionTokens:
        return ReadTokensMax(key, value, type);
      case kN:
      case kBestOf:
        return ReadChoices(key, value, type);
      case kClientRequestId:
        if (type != od::json_type::string) return RefuseType(key, "a string", value);
        return ReadClientRequestId(value);
      case kUsageContext:
        return ReadUsageContext(value, type);
      case kPromptCacheKey:
        return ReadPromptCacheKey(key, value, type);
      default:
        peek_.has_messages |= key == "messages";
        peek_.has_prompt |= key == "prompt";
        peek_.has_input |= key == "input";
        return ReadPrompt(key, value);
    }
  }

  error_code ReadNull(Field field, od::value value) {
    if (field == kModel) PlaceModel(value);
    if (field == kStreamOptions) {
      const std::string_view token = Token(value);
      peek_.usage_splice = {
          .offset = Offset(token), .length = token.size(), .text = R"({"include_usage":true})"};
    }
    return CheckValue(value, 1, ignored_);
  }

  error_code ReadModel(od::value value, od::json_type type) {
    if (type != od::json_type::string) return RefuseType("model", "a string", value);
    PlaceModel(value);
    std::string_view model;
    if (auto error = value.get_string().get(model)) return error;
    peek_.model = model;
    return SUCCESS;
  }

  void PlaceModel(od::value value) {
    const std::string_view token = Token(value);
    peek_.model_offset = Offset(token);
    peek_.model_length = token.size();
  }

  error_code ReadBool(std::string_view path, od::value value, od::json_type type, bool& out) {
    if (type != od::json_type::boolean) return RefuseType(path, "true or false", value);
    return internal::ReadBool(value, out);
  }

  error_code ReadStreamOptions(od::value value, od::json_type type) {
    if (type != od::json_type::object) return RefuseType("stream_options", "an object", value);
    peek_.has_stream_options = true;
    const std::size_t inside = Offset(Token(value)) + 1;
    peek_.usage_splice = {.offset = inside, .length = 0, .text = R"("include_usage":true)"};
    bool first = true;
    bool seen = false;
    od::object object;
    if (auto error = value.get_object().get(object)) return error;
    return internal::ForEachField(object, [&](std::string_view key, od::value inner) {
      if (std::exchange(first, false) && !seen) {
        peek_.usage_splice.text = R"("include_usage":true,)";
      }
      if (key != "include_usage") return CheckValue(inner, 2, ignored_);
      if (std::exchange(seen, true)) {
        return Refuse("stream_options.include_usage", "`include_usage` is given twice");
      }
      return ReadIncludeUsage(inner);
    });
  }

  error_code ReadIncludeUsage(od::value value) {
    const std::string_view token = Token(value);
    peek_.usage_splice = {.offset = Offset(token), .length = token.size(), .text = "true"};
    od::json_type type;
    if (auto error = value.type().get(type)) return error;
    if (type == od::json_type::null) return CheckValue(value, 2, ignored_);
    const error_code error =
        ReadBool("stream_options.include_usage", value, type, peek_.include_usage);
    if (peek_.include_usage) peek_.usage_splice.text = {};
    return error;
  }

  error_code ReadTokensMax(std::string_view key, od::value value, od::json_type type) {
    std::int64_t tokens = 0;
    if (auto error = ReadCount(key, value, type, INT32_MAX, tokens)) return error;
    peek_.tokens_max = std::max(peek_.tokens_max.value_or(0), tokens);
    return SUCCESS;
  }

  error_code ReadChoices(std::string_view key, od::value value, od::json_type type) {
    std::int64_t choices = 0;
    if (auto error = ReadCount(key, value, type, kChoicesMax, choices)) return error;
    peek_.choices = std::max(peek_.choices, choices);
    return SUCCESS;
  }

  // An integer in [1, high].
  error_code ReadCount(std::string_view key, od::value value, od::json_type type, std::int64_t high,
                       std::int64_t& out) {
    if (type != od::json_type::number) return RefuseType(key, "an integer", value);
    const std::string_view token = Token(value);
    od::number number;
    if (auto error = internal::ReadNumber(value, number)) return error;
    if (!number.is_int64() || number.get_int64() < 1 || number.get_int64() > high) {
      return Refuse(key, fmt::format("`{}` must be an integer in [1, {}], not {}", key, high,
                                     token.substr(0, kShownBytes)));
    }
    out = number.get_int64();
    return SUCCESS;
  }

  error_code ReadPrompt(std::string_view key, od::value value) {
    JsonTotals totals;
    const std::size_t begin = Offset(Token(value));
    if (auto error = CheckValue(value, 1, totals)) return error;
    const char* next = nullptr;  // What follows the value.
    if (auto error = document_->current_location().get(next)) return error;
    const std::string_view text =
        body_.substr(begin, static_cast<std::size_t>(next - body_.data()) - begin);
    if (key == "tools") {
      peek_.tools_text = text;
    } else if (text.size() > peek_.prompt_text.size()) {
      peek_.prompt_text = text;
    }
    peek_.prompt_bytes += totals.string_bytes;
    peek_.prompt_characters += totals.string_characters;
    peek_.prompt_token_ids += totals.numbers;
    return SUCCESS;
  }

  error_code ReadClientRequestId(od::value value) {
    std::string_view id;
    if (auto error = value.get_string().get(id)) return error;
    peek_.client_request_id = id;
    return SUCCESS;
  }

  error_code ReadPromptCacheKey(std::string_view key, od::value value, od::json_type type) {
    if (type != od::json_type::string) return RefuseType(key, "a string", value);
    std::string_view text;
    if (auto error = value.get_string().get(text)) return error;
    peek_.prompt_cache_key = text.substr(0, kPromptCacheKeyBytesMax);
    return SUCCESS;
  }

  error_code ReadUsageContext(od::value value, od::json_type type) {
    if (type != od::json_type::object) return RefuseType("usage_context", "an object", value);
    const std::size_t begin = Offset(Token(value));
    if (auto error = CheckValue(value, 1, ignored_)) return error;
    const char* next = nullptr;  // What follows the object: a comma, or the body's brace.
    if (auto error = document_->current_location().get(next)) return error;
    const std::string_view text =
        body_.substr(begin, static_cast<std::size_t>(next - body_.data()) - begin);
    peek_.usage_context = text.substr(0, text.rfind('}') + 1);
    return SUCCESS;
  }

  // The value's own bytes where it is a scalar; the opening bracket (and space) of another.
  static std::string_view Token(od::value value) {
    std::string_view token = value.raw_json_token();
    const std::size_t last = token.find_last_not_of(" \t\r\n");
    return token.substr(0, last + 1);
  }
  std::size_t Offset(std::string_view token) const {
    return static_cast<std::size_t>(token.data() - body_.data());
  }

  error_code RefuseType(std::string_view path, std::string_view wanted, od::value value) {
    return Refuse(path, fmt::format("`{}` must be {}, not {}", path, wanted,
                                    Token(value).substr(0, kShownBytes)));
  }
  // The error code only ends the walk; Run() answers with the refusal.
  error_code Refuse(std::string_view path, std::string message) {
    refusal_ = Error{Code::kInvalidArgument, std::move(message), std::string(path)};
    return simdjson::INCORRECT_TYPE;
  }

  static constexpr std::size_t kShownBytes = 64;
  static constexpr std::size_t kPromptCacheKeyBytesMax = 256;

  std::string_view body_;
  od::document* document_ = nullptr;  // Borrowed during Run().
  RequestPeek peek_;
  JsonTotals ignored_;
  std::uint32_t seen_ = 0;
  std::optional<Error> refusal_;
};

}  // namespace

Result<RequestPeek> PeekRequest(PaddedView body) {
  RequestPeek peek;
  if (internal::QuickPeek(body.view(), peek)) return peek;
  return internal::PeekInFull(body);
}

Result<RequestPeek> internal::PeekInFull(PaddedView body) {
  od::parser spare;
  return Peeker(body.view()).Run(internal::ParserFor(body.view().size(), spare));
}

std::string RewriteRequest(std::string_view body, const RequestPeek& peek,
                           const RequestRewrite& changes) {
  std::string model;
  if (changes.model) {
    if (peek.model_length == 0) model = R"("model":)";
    AppendJsonString(model, *changes.model);
  }
  std::array<Splice, 2> splices;
  std::size_t count = 0;
  if (changes.request_usage && !peek.usage_splice.text.empty()) {
    splices[count++] = peek.usage_splice;
  }
  if (changes.model) splices[count++] = {peek.model_offset, peek.model_length, model};
  if (count == 2 && splices[1].offset < splices[0].offset) std::swap(splices[0], splices[1]);

  std::string rewritten;
  rewritten.reserve(body.size() + peek.usage_splice.text.size() + model.size() + kJsonPadding);
  std::size_t copied = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto& [offset, length, text] = splices[i];
    rewritten.append(body.substr(copied, offset - copied)).append(text);
    copied = offset + length;
    // A field put in front of the others needs a comma before the next.
    const bool field_follows = !peek.empty || i + 1 < count;
    if (offset == FieldPlace(body) && field_follows) rewritten.push_back(',');
  }
  rewritten.append(body.substr(copied));
  return rewritten;
}

}  // namespace penstock
