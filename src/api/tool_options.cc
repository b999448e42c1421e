// Tools, calls of them, and the format of answers.
#include <fmt/format.h>

#include <algorithm>

#include "api/generation_options.h"
#include "api/json_schema.h"

namespace penstock::internal {
namespace {

namespace dom = simdjson::dom;

bool IsToolName(std::string_view name) {
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
  return !name.empty() && name.size() <= kToolNameBytesMax &&
         name.find_first_not_of(kAllowed) == std::string_view::npos;
}

// The member `name`, which must be an object.
std::optional<dom::object> FindObject(ObjectReader& in, std::string_view name) {
  const auto value = in.Find(name);
  dom::object object;
  if (value && !value->get_object().get(object)) return object;
  in.Refuse(name, fmt::format("`{}` must be an object, not {}", in.PathOf(name),
                              value ? Shown(*value) : "absent"));
  return std::nullopt;
}

// `"type": "function"`, which stands beside each function.
void CheckFunctionType(ObjectReader& in) {
  const auto type = in.Find("type");
  std::string_view word;
  if (type && (type->get_string().get(word) || word != "function")) {
    in.RefuseType("type", "\"function\"", *type);
  }
}

void ReadName(ObjectReader& function, std::string& name) {
  function.Read("name", name);
  if (IsToolName(name)) return;
  function.Refuse("name",
                  fmt::format("`{}` must be 1 to {} of a-z, A-Z, 0-9, _ and -, not \"{}\"",
                              function.PathOf("name"), kToolNameBytesMax, name.substr(0, 80)));
}

void AddTool(ObjectReader& in, const std::string& path, dom::element value, ChatRequest& request) {
  dom::object object;
  if (value.get_object().get(object)) return RefuseTypeAt(in.failure(), path, "an object", value);
  ObjectReader outer(object, path, in.failure());
  CheckFunctionType(outer);
  const auto inner = FindObject(outer, "function");
  if (!inner) return;
  ObjectReader function(*inner, outer.PathOf("function"), in.failure());
  Tool tool;
  ReadName(function, tool.name);
  function.Read("description", tool.description);
  bool strict = false;
  function.Read("strict", strict);
  tool.parameters = R"({"type":"object","properties":{}})";
  if (function.Find("parameters")) {
    const auto parameters = FindObject(function, "parameters");
    if (!parameters) return;
    tool.parameters = simdjson::minify(*parameters);
    if (strict) {
      const auto grammar =
          GrammarOfSchema(*function.Find("parameters"), function.PathOf("parameters"));
      if (!grammar) return RefuseAt(in.failure(), grammar.error().field, grammar.error().message);
    }
  }
  if (std::ranges::find(request.tools, tool.name, &Tool::name) != request.tools.end()) {
    return function.Refuse(
        "name", fmt::format("`{}` is given twice: \"{}\"", function.PathOf("name"), tool.name));
  }
  request.tools.push_back(std::move(tool));
}

// The one tool that a choice names is all that the model is shown.
void ChooseTool(ObjectReader& choice, ChatRequest& request) {
  CheckFunctionType(choice);
  const auto inner = FindObject(choice, "function");
  if (!inner) return;
  ObjectReader function(*inner, choice.PathOf("function"), choice.failure());
  std::string name;
  ReadName(function, name);
  std::erase_if(request.tools, [&](const Tool& tool) { return tool.name != name; });
  if (request.tools.empty()) {
    function.Refuse("name", fmt::format("`{}` is \"{}\", which is none of `tools`",
                                        function.PathOf("name"), name.substr(0, 80)));
  }
  request.tool_choice = ToolChoice::kRequired;
  request.parallel_tool_calls = false;
}

void ReadToolChoice(ObjectReader& in, ChatRequest& request) {
  request.tool_choice = request.tools.empty() ? ToolChoice::kNone : ToolChoice::kAuto;
  const auto value = in.Find("tool_choice");
  if (!value) return;
  std::string_view word;
  dom::object object;
  const bool is_word = !value->get_string().get(word);
  if (is_word && word == "none") {
    request.tool_choice = ToolChoice::kNone;
    request.tools.clear();
    return;
  }
  if (is_word && word == "auto") return;
  if (!(is_word && word == "required") && value->get_object().get(object)) {
    return in.RefuseType("tool_choice", "\"none\", \"auto\", \"required\" or an object", *value);
  }
  if (request.tools.empty()) {
    return in.Refuse("tool_choice", "`tool_choice` asks for a tool, and `tools` has none");
  }
  request.tool_choice = ToolChoice::kRequired;
  if (is_word) return;
  ObjectReader choice(object, "tool_choice", in.failure());
  ChooseTool(choice, request);
}

void AddToolCall(ObjectReader& message, const std::string& path, dom::element value,
                 std::vector<ToolCall>& calls) {
  dom::object object;
  if (value.get_object().get(object)) {
    return RefuseTypeAt(message.failure(), path, "an object", value);
  }
  ObjectReader outer(object, path, message.failure());
  CheckFunctionType(outer);
  const auto inner = FindObject(outer, "function");
  if (!inner) return;
  ObjectReader function(*inner, outer.PathOf("function"), message.failure());
  ToolCall& call = calls.emplace_back();
  outer.Read("id", call.id);
  function.Read("name", call.name);
  function.Read("arguments", call.arguments);
  if (call.arguments.empty()) call.arguments = "{}";
}

}  // namespace

void ReadTools(ObjectReader& in, ChatRequest& request) {
  in.Read("parallel_tool_calls", request.parallel_tool_calls);
  if (const auto value = in.Find("tools")) {
    dom::array list;
    if (value->get_array().get(list)) return in.RefuseType("tools", "a list of tools", *value);
    if (list.size() > kToolsMax) {
      return in.Refuse("tools", fmt::format("`tools` must hold at most {} tools, not {}", kToolsMax,
                                            list.size()));
    }
    std::size_t index = 0;
    for (const dom::element item : list) {
      AddTool(in, ItemPath("tools", index++), item, request);
      if (in.failure()) return;
    }
  }
  ReadToolChoice(in, request);
  if (request.tools.empty()) return;
  if (!request.options.grammar.empty()) {
    in.Refuse("response_format", "`response_format` is not supported together with `tools`");
  }
  if (request.options.top_logprobs) {
    in.Refuse("logprobs", "`logprobs` is not supported together with `tools`");
  }
}

void ReadToolCalls(ObjectReader& message, std::vector<ToolCall>& calls) {
  const auto value = message.Find("tool_calls");
  if (!value) return;
  dom::array list;
  if (value->get_array().get(list)) {
    return message.RefuseType("tool_calls", "a list of tool calls", *value);
  }
  std::size_t index = 0;
  for (const dom::element item : list) {
    AddToolCall(message, ItemPath(message.PathOf("tool_calls"), index++), item, calls);
    if (message.failure()) return;
  }
}

void ReadResponseFormat(ObjectReader& in, GenerationOptions& options) {
  if (!in.Find("response_format")) return;
  const auto outer = FindObject(in, "response_format");
  if (!outer) return;
  ObjectReader format(*outer, "response_format", in.failure());
  std::string type;
  format.Read("type", type);
  if (type == "text" || in.failure()) return;
  if (type == "json_object") {
    options.grammar = GrammarOfAnyObject();
    return;
  }
  if (type != "json_schema") {
    return format.Refuse("type", fmt::format("`response_format.type` must be \"text\", "
                                             "\"json_object\" or \"json_schema\", not \"{}\"",
                                             type.substr(0, 64)));
  }
  const auto inner = FindObject(format, "json_schema");
  if (!inner) return;
  ObjectReader described(*inner, "response_format.json_schema", in.failure());
  bool strict = false;  // Held to the schema either way.
  described.Read("strict", strict);
  const auto schema = described.Find("schema");
  if (!schema) {
    return described.Refuse("schema", "`response_format.json_schema.schema` is missing");
  }
  auto grammar = GrammarOfSchema(*schema, "response_format.json_schema.schema");
  if (!grammar) return RefuseAt(in.failure(), grammar.error().field, grammar.error().message);
  options.grammar = std::move(*grammar);
}

}  // namespace penstock::internal
