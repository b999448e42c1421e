#include "control/open_api.h"

namespace penstock::control {
namespace {

using boost::json::object;

object Typed(const char* type) { return {{"type", type}}; }

object Text() { return Typed("string"); }

object Whole(int least) { return {{"type", "integer"}, {"minimum", least}}; }

object Number(double least, double most) {
  return {{"type", "number"}, {"minimum", least}, {"maximum", most}};
}

object ListOf(object items) { return {{"type", "array"}, {"items", std::move(items)}}; }

object OneOrMany() { return {{"oneOf", {Text(), ListOf(Text())}}}; }

object Usage(bool completes) {
  object fields = {{"prompt_tokens", Whole(0)}, {"total_tokens", Whole(0)}};
  if (completes) fields["completion_tokens"] = Whole(0);
  return {{"type", "object"}, {"properties", std::move(fields)}};
}

// What chats and completions have in common.
object Sampling() {
  return {{"max_tokens", Whole(1)},     {"temperature", Number(0, 2)}, {"top_p", Number(0, 1)},
          {"top_k", Whole(0)},          {"stop", OneOrMany()},         {"n", Whole(1)},
          {"stream", Typed("boolean")}, {"logprobs", Typed("boolean")}};
}

object Message() {
  return {{"type", "object"},
          {"required", {"role", "content"}},
          {"properties",
           {{"role", {{"type", "string"}, {"enum", {"system", "user", "assistant", "tool"}}}},
            {"content", Text()}}}};
}

object RequestSchema(const std::string& task) {
  object fields;
  std::string required = "messages";
  if (task == "llm/v1/embeddings") {
    fields = {{"input", OneOrMany()},
              {"encoding_format", {{"type", "string"}, {"enum", {"float", "base64"}}}}};
    required = "input";
  } else if (task == "llm/v1/completions") {
    fields = Sampling();
    fields["prompt"] = OneOrMany();
    required = "prompt";
  } else {
    fields = Sampling();
    fields["messages"] = ListOf(Message());
  }
  boost::json::array names;
  names.emplace_back(required);
  return {{"type", "object"}, {"required", std::move(names)}, {"properties", std::move(fields)}};
}

object AnswerSchema(const std::string& task) {
  object fields = {{"id", Text()}, {"object", Text()}, {"created", Whole(0)}, {"model", Text()}};
  if (task == "llm/v1/embeddings") {
    object item = {{"type", "object"},
                   {"properties", {{"index", Whole(0)}, {"embedding", ListOf(Typed("number"))}}}};
    fields["data"] = ListOf(std::move(item));
    fields["usage"] = Usage(false);
  } else {
    object choice = {{"index", Whole(0)}, {"finish_reason", Text()}};
    if (task == "llm/v1/chat") {
      choice["message"] = Message();
    } else {
      choice["text"] = Text();
    }
    fields["choices"] = ListOf({{"type", "object"}, {"properties", std::move(choice)}});
    fields["usage"] = Usage(true);
  }
  return {{"type", "object"}, {"properties", std::move(fields)}};
}

object Json(object schema) { return {{"application/json", {{"schema", std::move(schema)}}}}; }

}  // namespace

object OpenApiJson(const std::string& endpoint, const std::string& task, const std::string& url) {
  const bool known = !task.empty();
  object answered = {{"description", "The model's answer"},
                     {"content", Json(known ? AnswerSchema(task) : object{})}};
  object failed = {
      {"description", "Over the endpoint's limits; retry-after says when to come again"}};
  object operation = {
      {"operationId", "query"},
      {"requestBody",
       {{"required", true}, {"content", Json(known ? RequestSchema(task) : object{})}}},
      {"responses", {{"200", std::move(answered)}, {"429", std::move(failed)}}}};
  object document = {
      {"openapi", "3.1.0"},
      {"info", {{"title", endpoint}, {"version", "1"}, {"x-task", task}}},
      {"paths",
       {{"/serving-endpoints/" + endpoint + "/invocations", {{"post", std::move(operation)}}}}},
      {"components", {{"securitySchemes", {{"bearer", {{"type", "http"}, {"scheme", "bearer"}}}}}}},
  };
  // Lists of one element, which braces alone would not make.
  document["security"] = boost::json::array();
  document["security"].get_array().push_back(object{{"bearer", boost::json::array()}});
  if (!url.empty()) {
    document["servers"] = boost::json::array();
    document["servers"].get_array().push_back(object{{"url", url}});
  }
  return document;
}

}  // namespace penstock::control
