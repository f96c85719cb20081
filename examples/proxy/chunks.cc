#include "examples/proxy/chunks.h"

#include "examples/proxy/header_check.h"

namespace proxy {

namespace {

// More would not fit 60 bits; leading zeros are nobody's need.
constexpr size_t kMaxDigits = 15;

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

void SkipSpace(std::string_view* text) {
  while (!text->empty() && (text->front() == ' ' || text->front() == '\t')) text->remove_prefix(1);
}

bool TakeToken(std::string_view* text) {
  size_t size = 0;
  while (size < text->size() && IsToken(text->substr(size, 1))) ++size;
  text->remove_prefix(size);
  return size > 0;
}

bool TakeQuoted(std::string_view* text) {
  for (size_t i = 1; i < text->size(); ++i) {
    if ((*text)[i] == '\\') {
      ++i;
    } else if ((*text)[i] == '"') {
      text->remove_prefix(i + 1);
      return true;
    }
  }
  return false;
}

// RFC 9112 section 7.1.1. Spaces at the end are let pass: old servers pad with them.
bool ValidExtensions(std::string_view text) {
  if (!IsFieldValue(text)) return false;
  for (SkipSpace(&text); !text.empty(); SkipSpace(&text)) {
    if (text.front() != ';') return false;
    text.remove_prefix(1);
    SkipSpace(&text);
    if (!TakeToken(&text)) return false;
    SkipSpace(&text);
    if (text.empty() || text.front() != '=') continue;
    text.remove_prefix(1);
    SkipSpace(&text);
    const bool quoted = text.starts_with('"');
    if (quoted ? !TakeQuoted(&text) : !TakeToken(&text)) return false;
  }
  return true;
}

}  // namespace

Progress ReadChunkLine(std::string_view data, ChunkLine* line) {
  const size_t end = data.substr(0, kMaxChunkLine).find('\n');
  if (end == std::string_view::npos) return data.size() < kMaxChunkLine ? Progress::kMore : Progress::kBad;
  if (end == 0 || data[end - 1] != '\r') return Progress::kBad;
  const std::string_view text = data.substr(0, end - 1);
  size_t digits = 0;
  line->length = 0;
  while (digits < text.size() && HexDigit(text[digits]) >= 0) {
    line->length = line->length * 16 + static_cast<uint64_t>(HexDigit(text[digits++]));
  }
  if (digits == 0 || digits > kMaxDigits || !ValidExtensions(text.substr(digits))) return Progress::kBad;
  line->size = end + 1;
  return Progress::kDone;
}

bool NextTrailer(std::string_view* block, std::string_view* name, std::string_view* value, bool* good) {
  const size_t end = block->find("\r\n");
  const std::string_view line = block->substr(0, end);
  *good = true;
  if (line.empty()) return false;
  block->remove_prefix(end + 2);
  const size_t colon = line.find(':');
  *name = line.substr(0, colon);
  *value = colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
  SkipSpace(value);
  while (value->ends_with(' ') || value->ends_with('\t')) value->remove_suffix(1);
  *good = colon != std::string_view::npos && IsToken(*name) && IsFieldValue(*value) &&
          !NamesField(*name, "content-length") && !NamesField(*name, "transfer-encoding");
  return *good;
}

}  // namespace proxy
