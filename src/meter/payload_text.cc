// What a payload record holds: streams put together, secrets blotted out, JSON.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cctype>
#include <map>
#include <utility>

#include "meter/payload_log.h"
#include "meter/time_text.h"

namespace penstock::meter {
namespace {

namespace json = boost::json;

constexpr std::size_t kSecretBytesMin = 16;  // Shorter words are words.

bool IsOfSecret(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
}

// One choice of a stream, as it grows.
struct Choice {
  std::string role = "assistant";
  std::string content;
  std::string reasoning;
  json::array tool_calls;
  json::value finish_reason = nullptr;
  bool chat = false;
};

void AppendText(const json::object& from, std::string_view name, std::string& to) {
  const json::value* const value = from.if_contains(name);
  if (value != nullptr && value->is_string()) to += value->get_string();
}

// A call's arguments come in pieces; its index tells which it is.
void AddToolCalls(const json::value& calls, json::array& to) {
  if (!calls.is_array()) return;
  for (const json::value& call : calls.get_array()) {
    if (!call.is_object()) continue;
    const json::value* const index = call.get_object().if_contains("index");
    const std::size_t at =
        index != nullptr && index->is_int64() && index->get_int64() >= 0 && index->get_int64() < 128
            ? static_cast<std::size_t>(index->get_int64())
            : to.size();
    if (at >= to.size()) {
      to.resize(at + 1);
      to[at] = call;
      continue;
    }
    const json::value* const function = call.get_object().if_contains("function");
    if (function == nullptr || !function->is_object() || !to[at].is_object()) continue;
    json::value& known = to[at].get_object()["function"];
    if (!known.is_object()) known = json::object();
    json::value& arguments = known.get_object()["arguments"];
    std::string text = arguments.is_string() ? std::string(arguments.get_string()) : "";
    AppendText(function->get_object(), "arguments", text);
    arguments = text;
  }
}

void AddChoice(const json::object& from, Choice& to) {
  AppendText(from, "text", to.content);
  if (const json::value* delta = from.if_contains("delta");
      delta != nullptr && delta->is_object()) {
    to.chat = true;
    AppendText(delta->get_object(), "content", to.content);
    AppendText(delta->get_object(), "reasoning_content", to.reasoning);
    if (const json::value* calls = delta->get_object().if_contains("tool_calls")) {
      AddToolCalls(*calls, to.tool_calls);
    }
  }
  const json::value* const finish = from.if_contains("finish_reason");
  if (finish != nullptr && !finish->is_null()) to.finish_reason = *finish;
}

json::object ToJson(std::int64_t index, const Choice& choice) {
  json::object object = {{"index", index}, {"finish_reason", choice.finish_reason}};
  if (!choice.chat) {
    object["text"] = choice.content;
    return object;
  }
  json::object message = {{"role", choice.role}, {"content", choice.content}};
  if (!choice.reasoning.empty()) message["reasoning_content"] = choice.reasoning;
  if (!choice.tool_calls.empty()) message["tool_calls"] = choice.tool_calls;
  object["message"] = std::move(message);
  return object;
}

// What of a chunk stands for the whole answer.
void AddChunk(const json::object& chunk, json::object& whole,
              std::map<std::int64_t, Choice>& choices) {
  for (const char* const name : {"id", "created", "model", "usage", "error"}) {
    const json::value* const value = chunk.if_contains(name);
    if (value != nullptr && !value->is_null()) whole[name] = *value;
  }
  const json::value* const list = chunk.if_contains("choices");
  if (list == nullptr || !list->is_array()) return;
  for (const json::value& choice : list->get_array()) {
    if (!choice.is_object()) continue;
    const json::value* const index = choice.get_object().if_contains("index");
    const bool given = index != nullptr && index->is_int64();
    AddChoice(choice.get_object(), choices[given ? index->get_int64() : 0]);
  }
}

}  // namespace

std::string Redact(std::string_view text) {
  static constexpr std::array<std::string_view, 3> kBefore = {"psk_", "sk-", "Bearer "};
  std::string clean;
  clean.reserve(text.size());
  while (!text.empty()) {
    const auto* const found = std::ranges::find_if(
        kBefore, [text](std::string_view before) { return text.starts_with(before); });
    const bool within_word = !clean.empty() && IsOfSecret(clean.back());
    if (found == kBefore.end() || within_word) {
      clean += text.front();
      text.remove_prefix(1);
      continue;
    }
    clean += *found;
    text.remove_prefix(found->size());
    const auto end = std::ranges::find_if_not(text, IsOfSecret);
    const auto length = static_cast<std::size_t>(end - text.begin());
    if (length >= kSecretBytesMin) {
      clean += "***";
      text.remove_prefix(length);
    }
  }
  return clean;
}

std::string AggregateStream(std::string_view events) {
  json::object whole;
  std::map<std::int64_t, Choice> choices;
  const std::string_view all = events;
  while (!events.empty()) {
    std::string_view line = events.substr(0, events.find('\n'));
    events.remove_prefix(std::min(events.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.starts_with("data:")) continue;
    boost::system::error_code error;
    const json::value chunk = json::parse(line.substr(5), error);
    if (!error && chunk.is_object()) AddChunk(chunk.get_object(), whole, choices);
  }
  if (whole.empty() && choices.empty()) return std::string(all);
  const bool chat = choices.empty() || choices.begin()->second.chat;
  whole["object"] = chat ? "chat.completion" : "text_completion";
  json::array list;
  for (const auto& [index, choice] : choices) list.push_back(ToJson(index, choice));
  whole["choices"] = std::move(list);
  return json::serialize(whole);
}

std::string ToJsonLine(const PayloadEntry& entry) {
  json::array errors;
  if (entry.request_too_large) errors.push_back("MAX_REQUEST_SIZE_EXCEEDED");
  if (entry.response_too_large) errors.push_back("MAX_RESPONSE_SIZE_EXCEEDED");
  const std::string time = FormatTime(entry.started_at);
  const auto text = [](bool too_large, const std::string& payload) -> json::value {
    if (too_large) return nullptr;
    return json::string(Redact(payload));
  };
  json::object object = {{"request_date", time.substr(0, 10)},
                         {"databricks_request_id", entry.request_id},
                         {"client_request_id", entry.client_request_id},
                         {"request_time", time},
                         {"status_code", entry.status},
                         {"sampling_fraction", 1.0},
                         {"execution_duration_ms", entry.duration_ms}};
  object["request"] = text(entry.request_too_large, entry.request);
  object["response"] = text(entry.response_too_large,
                            entry.stream ? AggregateStream(entry.response) : entry.response);
  object["logging_error_codes"] = std::move(errors);
  object["served_entity_id"] = entry.served_entity;
  object["requester"] = entry.requester;
  return json::serialize(object) + "\n";
}

}  // namespace penstock::meter
