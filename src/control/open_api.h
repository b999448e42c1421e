// OpenApi: how an endpoint is called, as an OpenAPI 3.1 document.
#pragma once

#include <boost/json.hpp>
#include <string>

namespace penstock::control {

// `task`: llm/v1/chat, llm/v1/completions or llm/v1/embeddings; "" is not known yet: then what is
// answered has no schema of the body. `url` is the server's, "" unknown.
boost::json::object OpenApiJson(const std::string& endpoint, const std::string& task,
                                const std::string& url);

}  // namespace penstock::control
