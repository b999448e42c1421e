#include "bench/workload/data_set.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <filesystem>
#include <optional>
#include <utility>

#include "base/file.h"
#include "trace/trace.h"

namespace penstock::bench {
namespace {

using simdjson::dom::element;
using trace::FailAt;

constexpr std::size_t kFileBytesMax = std::size_t{4} << 30;
constexpr std::int64_t kOutputTokensMax = 1'000'000;

std::optional<Message::Role> RoleOf(std::string_view word) {
  if (word == "user" || word == "human") return Message::Role::kUser;
  if (word == "assistant" || word == "gpt" || word == "chatgpt" || word == "bard" ||
      word == "bing") {
    return Message::Role::kAssistant;
  }
  if (word == "system" || word == "developer") return Message::Role::kSystem;
  return std::nullopt;
}

// The user's turns behind the first are asked anew: what stood between them is for the model to
// say.
Status Split(Messages messages, std::size_t row, std::string_view column, DataItem& item) {
  bool opened = false;
  for (Message& message : messages) {
    if (!opened) {
      opened = message.role == Message::Role::kUser;
      if (opened || message.role == Message::Role::kSystem) {
        item.opening.push_back(std::move(message));
      }
    } else if (message.role == Message::Role::kUser) {
      item.later.push_back(std::move(message.text));
    }
  }
  if (!opened) return FailAt(row, column, "no turn of a user is in it");
  return {};
}

Status ReadMessages(element list, std::size_t row, DataItem& item) {
  simdjson::dom::array entries;
  if (list.get(entries) != simdjson::SUCCESS) {
    return FailAt(row, "messages", "the value is not a list");
  }
  Messages messages;
  for (const element entry : entries) {
    std::string_view role;
    std::string_view text;
    if (entry["role"].get(role) != simdjson::SUCCESS || !RoleOf(role)) {
      return FailAt(row, "messages.role", "a message has no role that is known");
    }
    if (entry["content"].get(text) != simdjson::SUCCESS) {
      return FailAt(row, "messages.content", "a message's content is not text");
    }
    messages.push_back({.role = *RoleOf(role), .text = std::string(text)});
  }
  // A whole history is sent as it is, if it ends with the user.
  if (!messages.empty() && messages.back().role == Message::Role::kUser) {
    item.opening = std::move(messages);
    return {};
  }
  return Split(std::move(messages), row, "messages", item);
}

Result<DataItem> ReadLine(element line, std::size_t row) {
  DataItem item;
  std::string_view prompt;
  element list;
  if (line["prompt"].get(prompt) == simdjson::SUCCESS) {
    if (prompt.empty()) return FailAt(row, "prompt", "it is empty");
    item.opening.push_back({.text = std::string(prompt)});
  } else if (line["messages"].get(list) == simdjson::SUCCESS) {
    if (auto read = ReadMessages(list, row, item); !read) return Fail(read.error());
  } else {
    return FailAt(row, "prompt", "the line has neither \"prompt\" (text) nor \"messages\"");
  }
  for (const std::string_view key : {"output_tokens", "max_completion_tokens", "max_tokens"}) {
    std::int64_t tokens = 0;
    element value;
    if (line[key].get(value) != simdjson::SUCCESS) continue;
    if (value.get(tokens) != simdjson::SUCCESS || tokens < 1 || tokens > kOutputTokensMax) {
      return FailAt(row, key, fmt::format("it must be from 1 to {}", kOutputTokensMax));
    }
    item.output_tokens = static_cast<int>(tokens);
    break;
  }
  return item;
}

Result<DataSet> ParseShareGpt(std::string_view text) {
  simdjson::dom::parser parser;
  simdjson::dom::array entries;
  const simdjson::padded_string padded(text);
  if (const auto error = parser.parse(padded).get(entries)) {
    return Fail(Code::kCorrupt, fmt::format("not JSON: {}", simdjson::error_message(error)));
  }
  DataSet set;
  std::size_t row = 0;
  for (const element entry : entries) {
    ++row;
    simdjson::dom::array turns;
    if (entry["conversations"].get(turns) != simdjson::SUCCESS) {
      return FailAt(row, "conversations", "the entry has no such list");
    }
    Messages messages;
    for (const element turn : turns) {
      std::string_view from;
      std::string_view value;
      if (turn["from"].get(from) != simdjson::SUCCESS) {
        return FailAt(row, "conversations.from", "a turn's speaker is not text");
      }
      if (turn["value"].get(value) != simdjson::SUCCESS) {
        return FailAt(row, "conversations.value", "a turn's text is not text");
      }
      if (const auto role = RoleOf(from)) {
        messages.push_back({.role = *role, .text = std::string(value)});
      }
    }
    DataItem item;
    if (Split(std::move(messages), row, "conversations", item))
      set.items.push_back(std::move(item));
  }
  return set;
}

Result<DataSet> ParseJsonLines(std::string_view text) {
  DataSet set;
  simdjson::dom::parser parser;
  for (std::size_t row = 1; !text.empty(); ++row) {
    const std::size_t feed = text.find('\n');
    const std::string_view bytes = text.substr(0, feed);
    text.remove_prefix(feed == std::string_view::npos ? text.size() : feed + 1);
    if (bytes.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    element line;
    if (const auto error = parser.parse(simdjson::padded_string(bytes)).get(line)) {
      return FailAt(row, "all", fmt::format("not JSON: {}", simdjson::error_message(error)));
    }
    auto item = ReadLine(line, row);
    if (!item) return Fail(item.error());
    set.items.push_back(std::move(*item));
  }
  return set;
}

}  // namespace

Result<DataSet> DataSet::Parse(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  const bool array = first != std::string_view::npos && text[first] == '[';
  auto set = array ? ParseShareGpt(text) : ParseJsonLines(text);
  if (set && set->items.empty()) return Fail(Code::kCorrupt, "there is no prompt in it");
  return set;
}

Result<DataSet> DataSet::FromFile(const std::string& path) {
  const auto text = ReadSmallFile(path, kFileBytesMax);
  if (!text) return Fail(Code::kNotFound, "data set: " + text.error().message, "dataset");
  auto set = Parse(*text);
  if (!set) {
    Error error = set.error();
    error.message = fmt::format("data set {}: {}", path, error.message);
    return Fail(std::move(error));
  }
  set->name = std::filesystem::path(path).filename().string();
  return set;
}

}  // namespace penstock::bench
