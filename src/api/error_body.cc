// One Error, three shapes.
#include "api/error_body.h"

#include <fmt/format.h>

#include "api/json_text.h"

namespace penstock {
namespace {

std::string UpperCase(std::string_view text) {
  std::string upper(text);
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return upper;
}

void AppendField(std::string& out, std::string_view name, std::string_view value) {
  AppendJsonString(out, name);
  out.push_back(':');
  AppendJsonString(out, value);
}

// `"type":...,"param":...`; a missing field is null.
void AppendTypeAndParam(std::string& out, const Error& error) {
  AppendField(out, "type", Traits(error.code).api_type);
  out.append(",\"param\":");
  if (error.field.empty()) {
    out.append("null");
  } else {
    AppendJsonString(out, error.field);
  }
}

void AppendOpenAi(std::string& out, const Error& error, std::string_view api_code) {
  out.append("{\"error\":{");
  AppendField(out, "message", error.message);
  out.push_back(',');
  AppendTypeAndParam(out, error);
  out.push_back(',');
  AppendField(out, "code", api_code);
  out.append("}}");
}

// Azure's own words: the status as text where its services say so.
std::string AzureCode(const Error& error, std::string_view api_code) {
  switch (error.code) {
    case Code::kNotFound:
      return "DeploymentNotFound";
    case Code::kUnauthenticated:
    case Code::kForbidden:
    case Code::kRateLimited:
      return fmt::format("{}", Traits(error.code).http_status);
    default:
      return std::string(api_code);
  }
}

void AppendAzure(std::string& out, const Error& error, std::string_view code) {
  out.append("{\"error\":{");
  AppendField(out, "code", code);
  out.push_back(',');
  AppendField(out, "message", error.message);
  if (Traits(error.code).http_status == 400) {
    out.push_back(',');
    AppendTypeAndParam(out, error);
  }
  out.append("}}");
}

}  // namespace

void AppendErrorBody(std::string& out, Dialect dialect, const Error& error,
                     std::string_view api_code) {
  const std::string_view code = api_code.empty() ? Traits(error.code).api_code : api_code;
  switch (dialect) {
    case Dialect::kOpenAi:
      AppendOpenAi(out, error, code);
      return;
    case Dialect::kDatabricks:
      out.push_back('{');
      AppendField(out, "error_code", UpperCase(code));
      out.push_back(',');
      AppendField(out, "message", error.message);
      out.push_back('}');
      return;
    case Dialect::kAzure:
      AppendAzure(out, error, api_code.empty() ? AzureCode(error, code) : code);
      return;
  }
}

std::string LimitErrorBody(const Error& error, const LimitDetail& detail) {
  std::string out = "{\"error\":{";
  AppendField(out, "message", error.message);
  out += R"(,"type":"rate_limit_exceeded","code":429,)";
  AppendField(out, "limit_type", detail.type);
  out += fmt::format(R"(,"limit":{},"current":{},"retry_after":{}}}}})", detail.limit,
                     detail.current, detail.retry_after_s);
  return out;
}

std::string ErrorBody(Dialect dialect, const Error& error, std::string_view api_code) {
  std::string body;
  AppendErrorBody(body, dialect, error, api_code);
  return body;
}

}  // namespace penstock
