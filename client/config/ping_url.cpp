#include "client/config/ping_url.h"

#include <curl/curl.h>

#include <memory>

#include "common/error.h"

namespace litepull {
namespace {

constexpr std::size_t kMaxUrlBytes = 2048;

using Url = std::unique_ptr<CURLU, decltype(&curl_url_cleanup)>;
using Text = std::unique_ptr<char, decltype(&curl_free)>;

// Null when the URL cannot be parsed.
Url parsed(const std::string& text) {
  Url url(curl_url(), curl_url_cleanup);
  if (url && curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) url.reset();
  return url;
}

std::string part(const Url& url, CURLUPart which) {
  char* text = nullptr;
  if (curl_url_get(url.get(), which, &text, 0) != CURLUE_OK) return "";
  return Text(text, curl_free).get();
}

}  // namespace

std::string why_not_pingable(const std::string& url) {
  if (url.size() > kMaxUrlBytes) return "is longer than 2048 bytes";
  if (!is_clean_utf8(url)) return "holds control characters or is not UTF-8";
  const Url found = parsed(url);
  if (!found || part(found, CURLUPART_HOST).empty()) return "is not a URL";
  const std::string scheme = part(found, CURLUPART_SCHEME);
  if (scheme != "http" && scheme != "https") return "must begin with https:// or http://";
  return "";
}

std::string shown_url(const std::string& url) {
  const Url found = parsed(url);
  return part(found, CURLUPART_SCHEME) + "://" + printable(part(found, CURLUPART_HOST));
}

std::string with_path_end(const std::string& url, const std::string& end) {
  const Url changed = parsed(url);
  std::string path = part(changed, CURLUPART_PATH);
  while (path.ends_with('/')) path.pop_back();
  path += end;
  invariant(curl_url_set(changed.get(), CURLUPART_PATH, path.c_str(), 0) == CURLUE_OK, "a ping's path");
  return part(changed, CURLUPART_URL);
}

}  // namespace litepull
