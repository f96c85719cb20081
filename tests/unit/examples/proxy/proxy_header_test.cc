#include "examples/proxy/proxy_header.h"

#include <gtest/gtest.h>

#include <string>

#include "examples/proxy/address.h"

namespace proxy {
namespace {

std::string Version2(int version_and_command, int family, const std::string& addresses) {
  std::string text("\r\n\r\n\0\r\nQUIT\n", 12);
  text.push_back(static_cast<char>(version_and_command));
  text.push_back(static_cast<char>(family));
  text.push_back(static_cast<char>(addresses.size() / 256));
  text.push_back(static_cast<char>(addresses.size() % 256));
  return text + addresses;
}

const std::string kV4 =
    std::string("\xc0\x00\x02\x09", 4) + std::string("\x0a\x00\x00\x01\x1f\x90\x00\x50", 8);
const std::string kV6 =
    std::string("\x20\x01\x0d\xb8", 4) + std::string(11, '\0') + "\x07" + std::string(20, '\1');

// The source's name; "-": the header is good, and names none; "bad". However the bytes come, it is the same.
std::string Read(const std::string& header) {
  const std::string bytes = header + "GET / HTTP/1.1\r\n";
  ProxyHeader found;
  const Progress whole = ReadProxyHeader(bytes, &found);
  for (size_t size = 0; size < header.size(); ++size) {
    ProxyHeader part;
    const Progress progress = ReadProxyHeader(bytes.substr(0, size), &part);
    if (whole == Progress::kDone) {
      EXPECT_EQ(progress, Progress::kMore) << size;
    } else {
      EXPECT_NE(progress, Progress::kDone) << size;
    }
  }
  if (whole == Progress::kBad) return "bad";
  EXPECT_EQ(whole, Progress::kDone);
  EXPECT_EQ(found.size, header.size());
  return found.source.ss_family == AF_UNSPEC ? "-" : FormatHost(found.source);
}

TEST(ProxyHeader, Version1NamesTheClient) {
  EXPECT_EQ(Read("PROXY TCP4 192.0.2.9 10.0.0.1 56324 80\r\n"), "192.0.2.9");
  EXPECT_EQ(Read("PROXY TCP6 2001:db8::7 2001:db8::1 0 65535\r\n"), "2001:db8::7");
  EXPECT_EQ(Read("PROXY UNKNOWN\r\n"), "-");
  EXPECT_EQ(Read("PROXY UNKNOWN ffff::1 whatever 1 2\r\n"), "-");
}

TEST(ProxyHeader, Version1InAnyOtherFormIsBad) {
  for (const char* line :
       {"PROXY TCP4 192.0.2.9 10.0.0.1 56324\r\n", "PROXY TCP4 192.0.2.9 10.0.0.1 56324 80 \r\n",
        "PROXY  TCP4 192.0.2.9 10.0.0.1 56324 80\r\n", "PROXY TCP4 192.0.2.9 10.0.0.1 056324 80\r\n",
        "PROXY TCP4 192.0.2.9 10.0.0.1 65536 80\r\n", "PROXY TCP4 192.0.2.999 10.0.0.1 1 80\r\n",
        "PROXY TCP4 2001:db8::7 2001:db8::1 1 80\r\n", "PROXY TCP6 192.0.2.9 10.0.0.1 1 80\r\n",
        "PROXY UDP4 192.0.2.9 10.0.0.1 1 80\r\n", "PROXY \r\n", "proxy TCP4 192.0.2.9 10.0.0.1 1 80\r\n",
        "PROXY TCP4 192.0.2.9 10.0.0.1 1 80\n\r\n", "GET / HTTP/1.1\r\n", "\r\nPROXY UNKNOWN\r\n"}) {
    EXPECT_EQ(Read(line), "bad") << line;
  }
  EXPECT_EQ(Read("PROXY UNKNOWN " + std::string(200, 'x') + "\r\n"), "bad");
}

TEST(ProxyHeader, Version2NamesTheClient) {
  EXPECT_EQ(Read(Version2(0x21, 0x11, kV4)), "192.0.2.9");
  EXPECT_EQ(Read(Version2(0x21, 0x21, kV6)), "2001:db8::7");
  EXPECT_EQ(Read(Version2(0x21, 0x11, kV4 + std::string("\x04\x00\x01x", 4))), "192.0.2.9") << "with a TLV";
}

TEST(ProxyHeader, Version2ThatNamesNoneMeansTheConnectionItself) {
  EXPECT_EQ(Read(Version2(0x20, 0x00, "")), "-") << "LOCAL";
  EXPECT_EQ(Read(Version2(0x20, 0x11, kV4)), "-") << "LOCAL, whatever it adds";
  for (const int family : {0x00, 0x12, 0x22, 0x31, 0x32}) EXPECT_EQ(Read(Version2(0x21, family, kV6)), "-");
}

TEST(ProxyHeader, Version2InAnyOtherFormIsBad) {
  EXPECT_EQ(Read(Version2(0x11, 0x11, kV4)), "bad") << "version 1";
  EXPECT_EQ(Read(Version2(0x22, 0x11, kV4)), "bad") << "unknown command";
  EXPECT_EQ(Read(Version2(0x21, 0x13, kV4)), "bad") << "unknown protocol";
  EXPECT_EQ(Read(Version2(0x21, 0x41, kV4)), "bad") << "unknown family";
  EXPECT_EQ(Read(Version2(0x21, 0x11, kV4.substr(1))), "bad") << "too short";
  EXPECT_EQ(Read(Version2(0x21, 0x21, kV4)), "bad") << "too short";
  EXPECT_EQ(Read(Version2(0x21, 0x11, kV4 + std::string(5000, 'x'))), "bad") << "too long";
}

}  // namespace
}  // namespace proxy
