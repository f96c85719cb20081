#include "examples/proxy/header_check.h"

#include <cstring>

namespace proxy {

namespace {

enum CharClass : uint8_t { kToken = 1, kValue = 2, kTarget = 4, kDigit = 8, kHostChar = 16, kProtocol = 32 };

constexpr std::array<uint8_t, 256> MakeClasses() {
  std::array<uint8_t, 256> classes{};
  for (unsigned c = 0; c < 256; ++c) {
    uint8_t& bits = classes[c];
    const bool digit = c >= '0' && c <= '9';
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (digit) bits |= kDigit;
    if (digit || letter) bits |= kToken | kHostChar;
    if (c == '\t' || (c >= 0x20 && c != 0x7f)) bits |= kValue;
    if (c > 0x20 && c < 0x7f && c != '#') bits |= kTarget;
  }
  for (const char* c = "!#$%&'*+-.^_`|~"; *c != 0; ++c) classes[static_cast<uint8_t>(*c)] |= kToken;
  for (uint8_t& bits : classes) bits |= (bits & kToken) != 0 ? kProtocol : 0;
  classes['/'] |= kProtocol;
  for (const char* c = "-._"; *c != 0; ++c) classes[static_cast<uint8_t>(*c)] |= kHostChar;
  return classes;
}
constexpr std::array<uint8_t, 256> kClasses = MakeClasses();

bool All(std::string_view text, uint8_t char_class) {
  uint8_t bits = char_class;
  for (const char c : text) bits &= kClasses[static_cast<uint8_t>(c)];
  return bits != 0;
}

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

bool IsSpace(char c) { return c == ' ' || c == '\t'; }

std::string_view Trim(std::string_view text) {
  while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  return text;
}

// The next line without its CRLF. HeadScan has seen that each line has one.
std::string_view NextLine(std::string_view* block) {
  const size_t end = block->find('\n');
  const std::string_view line = block->substr(0, end - 1);
  block->remove_prefix(end + 1);
  return line;
}

// 0, or 505 for a version of HTTP that is well-formed and not 1.0 or 1.1.
int ParseVersion(std::string_view version, int* minor) {
  if (version == "HTTP/1.1" || version == "HTTP/1.0") {
    *minor = version.back() - '0';
    return 0;
  }
  const bool formed = version.size() == 8 && version.starts_with("HTTP/") && version[6] == '.' &&
                      All(version.substr(5, 1), kDigit) && All(version.substr(7, 1), kDigit);
  return formed ? 505 : 400;
}

int ParseRequestLine(std::string_view line, Head* head) {
  const size_t first = line.find(' ');
  if (first == std::string_view::npos) return 400;
  const size_t second = line.find(' ', first + 1);
  if (second == std::string_view::npos) return 400;
  head->method = line.substr(0, first);
  head->target = line.substr(first + 1, second - first - 1);
  if (head->method.empty() || !All(head->method, kToken)) return 400;
  if (head->target.empty() || !All(head->target, kTarget)) return 400;
  return ParseVersion(line.substr(second + 1), &head->minor);
}

bool ParseStatusLine(std::string_view line, Head* head) {
  if (line.size() < 13 || line[8] != ' ' || line[12] != ' ') return false;
  if (ParseVersion(line.substr(0, 8), &head->minor) != 0) return false;
  if (!All(line.substr(9, 3), kDigit) || line[9] == '0' || !All(line.substr(13), kValue)) return false;
  head->status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
  return true;
}

bool ReadLength(std::string_view value, Head* head) {
  // One field, digits only: a list, a sign or a second field is how requests are smuggled. So are octal
  // numbers.
  if (head->status == 0 && value.size() > 1 && value[0] == '0') return false;
  if (head->has_length || value.empty() || value.size() > 18 || !All(value, kDigit)) return false;
  head->has_length = true;
  for (const char c : value) head->length = head->length * 10 + static_cast<uint64_t>(c - '0');
  return true;
}

std::optional<uint32_t> ReadNumber(std::string_view text) {
  if (text.empty() || text.size() > 9 || !All(text, kDigit)) return std::nullopt;
  uint32_t number = 0;
  for (const char c : text) number = number * 10 + static_cast<uint32_t>(c - '0');
  return number;
}

// Cuts the first element off a comma-separated list.
std::string_view NextElement(std::string_view* list) {
  const size_t comma = list->find(',');
  const std::string_view element = Trim(list->substr(0, comma));
  *list = comma == std::string_view::npos ? std::string_view() : list->substr(comma + 1);
  return element;
}

void ReadKeepAlive(std::string_view value, KeepAlive* limits) {
  while (!value.empty()) {
    const std::string_view element = NextElement(&value);
    const size_t equals = element.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view name = Trim(element.substr(0, equals));
    const auto number = ReadNumber(Trim(element.substr(equals + 1)));
    if (EqualsIgnoringCase(name, "timeout")) limits->timeout = number;
    if (EqualsIgnoringCase(name, "max")) limits->max = number;
  }
}

bool ListContains(std::string_view list, std::string_view element) {
  while (!list.empty()) {
    if (EqualsIgnoringCase(NextElement(&list), element)) return true;
  }
  return false;
}

bool ReadConnection(std::string_view value, Head* head) {
  while (!value.empty()) {
    const std::string_view option = NextElement(&value);
    if (EqualsIgnoringCase(option, "close")) {
      head->close = true;
    } else if (EqualsIgnoringCase(option, "keep-alive")) {
      head->keep_alive = true;
    } else if (!option.empty()) {
      if (!All(option, kToken) || head->named_count == head->named.size()) return false;
      head->named[head->named_count++] = option;
    }
  }
  return true;
}

// Another name, but the same to a server that makes variables of both, as CGI does.
bool IsUnderscored(std::string_view name, std::string_view lower) {
  return name.find('_') != std::string_view::npos && NamesField(name, lower);
}

// Only the fields that decide where the message ends and where it goes. 0 or a status.
int ReadField(std::string_view name, std::string_view value, Head* head) {
  switch (name.size()) {
    case 2:
      if (EqualsIgnoringCase(name, "te")) head->te_trailers |= ListContains(value, "trailers");
      return 0;
    case 4:
      if (!EqualsIgnoringCase(name, "host")) return 0;
      if (head->has_host) return 400;
      head->has_host = true;
      head->host = value;
      return 0;
    case 6:
      if (!EqualsIgnoringCase(name, "expect")) return 0;
      if (!EqualsIgnoringCase(value, "100-continue")) return 417;
      head->expects_continue = true;
      return 0;
    case 7:
      if (!EqualsIgnoringCase(name, "upgrade")) return 0;
      head->several_upgrades = !head->upgrade.empty();
      head->upgrade = value;
      return 0;
    case 10:
      if (EqualsIgnoringCase(name, "keep-alive")) ReadKeepAlive(value, &head->keep_alive_limits);
      return EqualsIgnoringCase(name, "connection") && !ReadConnection(value, head) ? 400 : 0;
    case 12:
      if (EqualsIgnoringCase(name, "max-forwards")) head->max_forwards = ReadNumber(value);
      return 0;
    case 14:
      if (IsUnderscored(name, "content-length")) return 400;
      return EqualsIgnoringCase(name, "content-length") && !ReadLength(value, head) ? 400 : 0;
    case 17:
      if (IsUnderscored(name, "transfer-encoding")) return 400;
      if (!EqualsIgnoringCase(name, "transfer-encoding")) return 0;
      if (head->chunked || !EqualsIgnoringCase(value, "chunked")) return 400;
      head->chunked = true;
      return 0;
    default:
      return 0;
  }
}

int ReadFields(std::string_view block, Head* head) {
  size_t count = 0;
  for (std::string_view line = NextLine(&block); !line.empty(); line = NextLine(&block)) {
    if (++count > kMaxFields) return 431;
    // A line that starts with a space (obs-fold) has no token before the colon, either.
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) return 400;
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = line.substr(colon + 1);
    if (!All(name, kToken) || !All(value, kValue)) return 400;
    if (const int status = ReadField(name, Trim(value), head)) return status;
  }
  // RFC 9112 section 6.1: both at once, or the coding in HTTP/1.0, is an attack or a fault.
  return head->chunked && (head->has_length || head->minor == 0) ? 400 : 0;
}

bool ValidFraming(const Head& head) {
  // RFC 9112 section 6.1: no transfer coding in 1xx and 204.
  return !head.chunked || (head.status >= 200 && head.status != 204);
}

}  // namespace

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (Lower(a[i]) != Lower(b[i])) return false;
  }
  return true;
}

bool ValidAuthority(std::string_view authority) {
  if (authority.starts_with('[')) {
    const size_t end = authority.find(']');
    if (end == std::string_view::npos || end < 3) return false;
    for (const char c : authority.substr(1, end - 1)) {
      const char lower = Lower(c);
      if (c != ':' && c != '.' && !(c >= '0' && c <= '9') && !(lower >= 'a' && lower <= 'f')) return false;
    }
    authority.remove_prefix(end + 1);
    return authority.empty() || (authority[0] == ':' && All(authority.substr(1), kDigit));
  }
  const size_t colon = authority.find(':');
  const std::string_view name = authority.substr(0, colon);
  if (name.empty() || !All(name, kHostChar)) return false;
  return colon == std::string_view::npos || All(authority.substr(colon + 1), kDigit);
}

bool IsToken(std::string_view text) { return !text.empty() && All(text, kToken); }

bool IsFieldValue(std::string_view text) { return All(text, kValue); }

bool NamesField(std::string_view name, std::string_view lower) {
  if (name.size() != lower.size()) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    if ((name[i] == '_' ? '-' : Lower(name[i])) != lower[i]) return false;
  }
  return true;
}

bool Head::Names(std::string_view field) const {
  for (uint32_t i = 0; i < named_count; ++i) {
    if (EqualsIgnoringCase(named[i], field)) return true;
  }
  return false;
}

std::string_view Head::Upgrade() const {
  // A list is not offered on: which of them the other side took would be one more thing to read in two ways.
  // h2c would be a second HTTP inside, with paths and hosts that nobody looks at.
  const bool usable = minor == 1 && !several_upgrades && !chunked && length == 0 && Names("upgrade") &&
                      All(upgrade, kProtocol) && !EqualsIgnoringCase(upgrade.substr(0, 3), "h2c");
  return usable ? upgrade : std::string_view();
}

HeadScan::Result HeadScan::Continue(std::string_view data) {
  while (next_ < data.size()) {
    const void* found = std::memchr(data.data() + next_, '\n', data.size() - next_);
    if (found == nullptr) {
      next_ = data.size();
      break;
    }
    const auto end = static_cast<size_t>(static_cast<const char*>(found) - data.data());
    if (end == line_ || data[end - 1] != '\r') return Result::kBad;
    next_ = end + 1;
    if (next_ > kMaxHeadBytes) return Result::kTooLarge;
    if (end == line_ + 1) return Result::kComplete;
    line_ = next_;
  }
  return next_ > kMaxHeadBytes ? Result::kTooLarge : Result::kMore;
}

int CheckRequest(std::string_view block, Head* head) {
  *head = Head();
  if (const int status = ParseRequestLine(NextLine(&block), head)) return status;
  if (const int status = ReadFields(block, head)) return status;
  if (!head->has_host) return head->minor == 1 ? 400 : 0;
  return ValidAuthority(head->host) ? 0 : 400;
}

int CheckResponse(std::string_view block, Head* head) {
  *head = Head();
  if (!ParseStatusLine(NextLine(&block), head) || ReadFields(block, head) != 0) return 502;
  return ValidFraming(*head) ? 0 : 502;
}

}  // namespace proxy
