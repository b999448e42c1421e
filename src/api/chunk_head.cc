#include "api/chunk_head.h"

#include <simdjson.h>

namespace penstock {

ChunkHead ReadChunkHead(std::string_view data) {
  ChunkHead head;
  const simdjson::padded_string padded(data);
  simdjson::ondemand::parser parser;
  simdjson::ondemand::document document;
  if (parser.iterate(padded).get(document) != simdjson::SUCCESS) return head;
  std::string_view text;
  if (document["id"].get_string().get(text) == simdjson::SUCCESS) head.id = text;
  if (document["model"].get_string().get(text) == simdjson::SUCCESS) head.model = text;
  std::int64_t created_s = 0;
  if (document["created"].get_int64().get(created_s) == simdjson::SUCCESS) {
    head.created_s = created_s;
  }
  return head;
}

}  // namespace penstock
