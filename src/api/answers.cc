// Reading leniently: a client takes what is there, and says what is missing.
#include "api/answers.h"

#include <fmt/format.h>

#include <cstring>
#include <limits>

#include "api/json_text.h"
#include "api/object_reader.h"

namespace penstock {
namespace {

namespace dom = simdjson::dom;

constexpr std::size_t kMessageBytesMax = 512;

// Runs `read(root, answer)`, where root is an object; whatever is wrong is the peer's fault.
template <typename T, typename Read>
Result<T> ReadAnswer(PaddedView body, Read&& read) {
  dom::parser spare;
  const auto root = internal::ParseRoot(internal::DomParserFor(body.view().size(), spare), body);
  if (!root) return Fail(Code::kUpstream, "the response is no answer: " + root.error().message);
  T answer;
  if (Status status = read(*root, answer); !status) return std::unexpected(status.error());
  return answer;
}

std::unexpected<Error> Missing(std::string_view field, std::string_view wanted) {
  return Fail(Code::kUpstream, fmt::format("the response's `{}` is not {}", field, wanted),
              std::string(field));
}

std::uint64_t CountOr0(simdjson::simdjson_result<dom::element> value) {
  std::uint64_t count = 0;
  return value.get_uint64().get(count) ? 0 : count;
}

bool ReadUsage(dom::object root, Usage& usage) {
  dom::object object;
  if (root["usage"].get_object().get(object)) return false;
  usage.prompt_tokens = CountOr0(object["prompt_tokens"]);
  usage.completion_tokens = CountOr0(object["completion_tokens"]);
  usage.cached_tokens = CountOr0(object["prompt_tokens_details"]["cached_tokens"]);
  return true;
}

// A string, or the text parts of a list.
std::string ContentText(dom::element content) {
  std::string_view text;
  if (!content.get_string().get(text)) return std::string(text);
  std::string joined;
  dom::array parts;
  if (content.get_array().get(parts)) return joined;
  for (const dom::element part : parts) {
    if (!part["text"].get_string().get(text)) joined.append(text);
  }
  return joined;
}

Status ReadFloats(dom::array numbers, std::vector<float>& vector) {
  vector.reserve(numbers.size());
  for (const dom::element item : numbers) {
    double number = 0;
    if (item.is_null()) {
      number = std::numeric_limits<double>::quiet_NaN();
    } else if (item.get_double().get(number)) {
      return Missing("data[].embedding", "a list of numbers");
    }
    vector.push_back(static_cast<float>(number));
  }
  return {};
}

Status ReadVector(dom::element value, std::vector<float>& vector) {
  dom::array numbers;
  if (!value.get_array().get(numbers)) return ReadFloats(numbers, vector);
  std::string_view text;
  if (value.get_string().get(text)) return Missing("data[].embedding", "a list or a base64 text");
  const auto bytes = DecodeBase64(text);
  if (!bytes || bytes->size() % sizeof(float) != 0) {
    return Missing("data[].embedding", "the base64 of 32-bit floats");
  }
  vector.resize(bytes->size() / sizeof(float));
  if (!vector.empty()) std::memcpy(vector.data(), bytes->data(), bytes->size());
  return {};
}

std::string OneLine(std::string_view text) {
  std::string line(text.substr(0, kMessageBytesMax));
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return line;
}

// A text of the `error` object; "" where there is none.
std::string ReadErrorText(std::string_view body, std::string_view name) {
  if (body.empty()) return {};
  std::string copy(body);
  dom::parser spare;
  const PaddedView padded(copy);
  const auto root = internal::ParseRoot(internal::DomParserFor(copy.size(), spare), padded);
  std::string_view text;
  if (!root || (*root)["error"][name].get_string().get(text)) return {};
  return std::string(text);
}

}  // namespace

Result<CompletionAnswer> ReadCompletion(PaddedView body) {
  return ReadAnswer<CompletionAnswer>(body, [](dom::object root, CompletionAnswer& answer) {
    std::string_view word;
    if (!root["model"].get_string().get(word)) answer.model = word;
    answer.has_usage = ReadUsage(root, answer.usage);
    dom::array choices;
    if (root["choices"].get_array().get(choices)) return Status(Missing("choices", "a list"));
    answer.choices = choices.size();
    if (answer.choices == 0) return Status{};
    const dom::element first = *choices.begin();
    dom::element content;
    if (!first["message"]["content"].get(content) || !first["text"].get(content)) {
      answer.text = ContentText(content);
    } else {
      return Status(Missing("choices[0]", "a completion"));
    }
    if (!first["finish_reason"].get_string().get(word)) answer.finish = FinishReasonOf(word);
    return Status{};
  });
}

Result<EmbeddingAnswer> ReadEmbeddings(PaddedView body) {
  return ReadAnswer<EmbeddingAnswer>(body, [](dom::object root, EmbeddingAnswer& answer) {
    answer.has_usage = ReadUsage(root, answer.usage);
    dom::array data;
    if (root["data"].get_array().get(data)) return Status(Missing("data", "a list"));
    for (const dom::element item : data) {
      dom::element embedding;
      if (item["embedding"].get(embedding)) {
        return Status(Missing("data[].embedding", "a list or a base64 text"));
      }
      if (Status read = ReadVector(embedding, answer.vectors.emplace_back()); !read) return read;
    }
    return Status{};
  });
}

Result<std::vector<TokenId>> ReadTokens(PaddedView body) {
  return ReadAnswer<std::vector<TokenId>>(body, [](dom::object root, std::vector<TokenId>& tokens) {
    dom::array ids;
    if (root["tokens"].get_array().get(ids)) return Status(Missing("tokens", "a list"));
    for (const dom::element item : ids) {
      std::int64_t id = -1;
      if (item.get_int64().get(id) || id < 0 || id > std::numeric_limits<TokenId>::max()) {
        return Status(Missing("tokens", "a list of token ids"));
      }
      tokens.push_back(static_cast<TokenId>(id));
    }
    return Status{};
  });
}

std::string ReadErrorMessage(std::string_view body) {
  if (body.empty()) return "(no body)";
  std::string copy(body);
  dom::parser spare;
  const PaddedView padded(copy);
  const auto root = internal::ParseRoot(internal::DomParserFor(copy.size(), spare), padded);
  if (!root) return OneLine(body);
  std::string_view message;
  if (!(*root)["error"]["message"].get_string().get(message) ||
      !(*root)["message"].get_string().get(message) ||
      !(*root)["error"].get_string().get(message)) {
    return OneLine(message);
  }
  return OneLine(body);
}

std::string ReadErrorCode(std::string_view body) {
  const std::string code = ReadErrorText(body, "code");
  return code == "context_length_exceeded" || code == "content_filter" ? code : std::string();
}

std::string ReadErrorParam(std::string_view body) {
  constexpr std::size_t kBytesMax = 128;
  return ReadErrorText(body, "param").substr(0, kBytesMax);
}

}  // namespace penstock
