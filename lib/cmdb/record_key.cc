#include <xxhash.h>

#include <array>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "fastcontainer/records.h"

namespace fastcontainer {
namespace {

constexpr std::string_view kRoot = "/fc/v1/";
constexpr std::array<std::pair<RecordKind, char>, 7> kLetters = {{{RecordKind::kKey, 'k'},
                                                                  {RecordKind::kClass, 'c'},
                                                                  {RecordKind::kSpec, 's'},
                                                                  {RecordKind::kPlacement, 'p'},
                                                                  {RecordKind::kHost, 'h'},
                                                                  {RecordKind::kScores, 'w'},
                                                                  {RecordKind::kHeartbeat, 'l'}}};
constexpr std::string_view kLowerHex = "0123456789abcdef";
constexpr std::string_view kUpperHex = "0123456789ABCDEF";

char Letter(RecordKind kind) {
  for (const auto& [candidate, letter] : kLetters)
    if (candidate == kind) return letter;
  return '?';
}

std::string_view KindName(RecordKind kind) {
  switch (kind) {
    case RecordKind::kKey:
      return "key";
    case RecordKind::kClass:
      return "class";
    case RecordKind::kSpec:
      return "spec";
    case RecordKind::kPlacement:
      return "placement";
    case RecordKind::kHost:
      return "host";
    case RecordKind::kScores:
      return "scores";
    case RecordKind::kHeartbeat:
      return "heartbeat";
  }
  return "record";
}

bool IsSharded(RecordKind kind) {
  return kind == RecordKind::kKey || kind == RecordKind::kSpec || kind == RecordKind::kPlacement;
}

// The unreserved characters of RFC 3986, section 2.3.
bool IsUnreserved(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' || c == '_' || c == '~';
}

void AppendEscaped(std::string_view name, std::string* out) {
  for (const char c : name) {
    if (IsUnreserved(c)) {
      out->push_back(c);
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out->push_back('%');
    out->push_back(kUpperHex[byte >> 4]);
    out->push_back(kUpperHex[byte & 15]);
  }
}

// Lenient: the caller compares with the canonical form afterwards.
std::string Unescape(std::string_view text) {
  std::string name;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      const size_t high = kUpperHex.find(text[i + 1]);
      const size_t low = kUpperHex.find(text[i + 2]);
      if (high != std::string_view::npos && low != std::string_view::npos) {
        name.push_back(static_cast<char>(high << 4 | low));
        i += 2;
        continue;
      }
    }
    name.push_back(text[i]);
  }
  return name;
}

// Takes ":port" away (RFC 3986, section 3.2.3: the digits may be absent). An IPv6 address is in brackets.
absl::StatusOr<std::string_view> WithoutPort(std::string_view host) {
  const size_t bracket = host.rfind(']');
  const size_t colon = host.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (colon == std::string_view::npos) return host;
  for (const char c : host.substr(colon + 1)) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c)))
      return absl::InvalidArgumentError("key: the port is not a number");
  }
  return host.substr(0, colon);
}

}  // namespace

uint8_t ShardOf(std::string_view name) {
  return static_cast<uint8_t>(XXH3_64bits(name.data(), name.size()) >> 56);
}

std::string RecordKindPrefix(RecordKind kind) {
  std::string prefix(kRoot);
  prefix.push_back(Letter(kind));
  prefix.push_back('/');
  return prefix;
}

std::string RecordPrefix(RecordKind kind, uint8_t shard) {
  std::string prefix = RecordKindPrefix(kind);
  if (IsSharded(kind)) {
    prefix.push_back(kLowerHex[shard >> 4]);
    prefix.push_back(kLowerHex[shard & 15]);
    prefix.push_back('/');
  }
  return prefix;
}

std::string RecordKey(RecordKind kind, std::string_view name) {
  std::string key = RecordPrefix(kind, ShardOf(name));
  AppendEscaped(name, &key);
  return key;
}

absl::StatusOr<ParsedKey> ParseRecordKey(std::string_view key) {
  for (const auto& [kind, letter] : kLetters) {
    const std::string prefix = RecordKindPrefix(kind);
    if (!key.starts_with(prefix)) continue;
    ParsedKey parsed{kind, Unescape(key.substr(key.rfind('/') + 1))};
    // One name has one key: another escaping, or the wrong shard, is not that key.
    if (parsed.name.empty() || RecordKey(kind, parsed.name) != key) break;
    return parsed;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("not a record's key: \"", absl::CHexEscape(std::string(key)), "\""));
}

absl::StatusOr<std::string> NormalizeKey(std::string_view host_name) {
  const absl::StatusOr<std::string_view> host = WithoutPort(host_name);
  if (!host.ok()) return host.status();
  std::string_view name = *host;
  if (!name.empty() && name.back() == '.') name.remove_suffix(1);
  if (name.empty()) return absl::InvalidArgumentError("key: empty");
  // One final dot means the root (RFC 1034, section 3.1); more would leave a second form of the same key.
  if (name.back() == '.') return absl::InvalidArgumentError("key: ends with an empty label");
  if (name.size() > kMaxNameLength)
    return absl::InvalidArgumentError(absl::StrCat("key: longer than ", kMaxNameLength, " bytes"));
  for (const char c : name) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c)))
      return absl::InvalidArgumentError("key: has a byte outside of printable ASCII");
  }
  return absl::AsciiStrToLower(std::string(name));
}

absl::Status InRecord(RecordKind kind, std::string_view name, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(std::string(KindName(kind)), " \"", std::string(name),
                                                  "\": ", status.message()));
}

}  // namespace fastcontainer
