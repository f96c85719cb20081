// The PROXY protocol's header, and the addresses of fc-proxy's configuration.
#include <string>
#include <string_view>

#include "examples/proxy/address.h"
#include "examples/proxy/proxy_header.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace proxy;
  using fastcontainer::Check;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  ProxyHeader header;
  const Progress whole = ReadProxyHeader(bytes, &header);
  if (whole == Progress::kDone) {
    Check(header.size <= size, "no header is longer than what has come");
    const std::string name = FormatHost(header.source);
    Check(header.source.ss_family == AF_UNSPEC || name != "unknown", "a source has a name");
    AddressSet own;
    if (header.source.ss_family != AF_UNSPEC)
      Check(own.Add(name) && own.Contains(header.source), "it is its own set");
  }
  for (size_t part = 0; part < size && part < 300; ++part) {
    ProxyHeader early;
    const Progress progress = ReadProxyHeader(bytes.substr(0, part), &early);
    if (whole == Progress::kDone && part < header.size)
      Check(progress == Progress::kMore, "it is waited for");
    if (progress == Progress::kBad) Check(whole == Progress::kBad, "what is bad does not become good");
    if (progress == Progress::kDone) Check(early.size == header.size, "what follows does not matter");
  }
  AddressSet set;
  if (set.Add(std::string(bytes))) Check(!set.empty(), "what was added is there");
  return 0;
}
