// Prove report: a proof as text, Markdown, JSON, and a page to sign. Pure.
#pragma once

#include <string>

#include "bench/prove/prove.h"

namespace penstock::bench {

std::string RenderProofText(const Proof& proof);      // For a terminal.
std::string RenderProofMarkdown(const Proof& proof);  // For a ticket.
std::string RenderProofJson(const Proof& proof);      // One document, with a line feed.
std::string RenderProofPage(const Proof& proof);      // HTML, self-contained, without script.

}  // namespace penstock::bench
