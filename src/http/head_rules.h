// Head rules: what a head that the grammar accepts must hold besides, and what it then means.
//
// Pure. These rules close the doors of request smuggling: two readers of one head could otherwise
// disagree on where its message ends or for whom it is.
#pragma once

#include "base/result.h"
#include "http/head.h"

namespace penstock::http {

// Refuses what may be read in two ways; fills path, query, host, body, content_length, keep_alive
// and expect_continue from method, target, minor_version and fields.
Status ApplyRequestRules(const HeadLimits& limits, RequestHead& head);

// The same for a response; fills body, content_length, keep_alive. Errors: kUpstream.
Status ApplyResponseRules(std::string_view method, ResponseHead& head);

}  // namespace penstock::http
