// The server's own error body.
#include "http/error_answer.h"

#include "http/quote.h"

namespace penstock::http {

void AppendErrorBody(const Error& error, std::string& to) {
  const CodeTraits& traits = Traits(error.code);
  to += R"({"error":{"message":")";
  AppendJsonEscaped(error.message, to);
  to.append(R"(","type":")").append(traits.api_type);
  if (error.field.empty()) {
    to += R"(","param":null)";
  } else {
    to += R"(","param":")";
    AppendJsonEscaped(error.field, to);
    to += '"';
  }
  to.append(R"(,"code":")").append(traits.api_code).append("\"}}");
}

}  // namespace penstock::http
