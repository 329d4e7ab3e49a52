# What `cmake --install` puts where, and the Debian package that is made of it (deploy/package.sh).
include(GNUInstallDirs)

install(TARGETS litepull RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")

# Not CMAKE_INSTALL_LIBDIR, which a distribution may divide by architecture: the client looks in ../lib/litepull.
if(TARGET litepull-agent)
  install(PROGRAMS "$<TARGET_FILE:litepull-agent>" DESTINATION lib/litepull
    RENAME litepull-agent-${CMAKE_SYSTEM_PROCESSOR})
endif()
if(LITEPULL_OTHER_MACHINE)
  install(PROGRAMS "${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/litepull-agent-${LITEPULL_OTHER_MACHINE}" DESTINATION lib/litepull)
endif()

find_program(GZIP gzip REQUIRED)
foreach(page litepull.1 litepull-config.5)
  set(source "${PROJECT_SOURCE_DIR}/deploy/man/${page}")
  set(packed "${PROJECT_BINARY_DIR}/man/${page}.gz")
  add_custom_command(OUTPUT "${packed}" DEPENDS "${source}"
    COMMAND "${CMAKE_COMMAND}" -E make_directory "${PROJECT_BINARY_DIR}/man"
    COMMAND "${GZIP}" -9nc "${source}" > "${packed}")
  list(APPEND packed_pages "${packed}")
  string(REGEX MATCH "[0-9]$" section "${page}")
  install(FILES "${packed}" DESTINATION "${CMAKE_INSTALL_MANDIR}/man${section}")
endforeach()
add_custom_target(man ALL DEPENDS ${packed_pages})

set(completions "${PROJECT_SOURCE_DIR}/deploy/completions")
install(FILES "${completions}/litepull.bash" DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions" RENAME litepull)
# zsh looks into site-functions, also of /usr/local. Below /usr Debian's looks only into vendor-completions. The prefix
# is known only when it is installed.
install(CODE "
  set(functions site-functions)
  if(EXISTS /etc/debian_version AND \"\${CMAKE_INSTALL_PREFIX}\" MATCHES \"/usr/?$\")
    set(functions vendor-completions)
  endif()
  file(INSTALL DESTINATION \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATADIR}/zsh/\${functions}\"
    TYPE FILE FILES \"${completions}/_litepull\")
")
install(FILES "${completions}/litepull.fish" DESTINATION "${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d")

# Templates for running it at night and before a deploy.
foreach(directory systemd launchd kamal kubernetes)
  if(IS_DIRECTORY "${PROJECT_SOURCE_DIR}/deploy/${directory}")
    install(DIRECTORY "${PROJECT_SOURCE_DIR}/deploy/${directory}" DESTINATION "${CMAKE_INSTALL_DATADIR}/litepull"
      USE_SOURCE_PERMISSIONS)
  endif()
endforeach()
install(FILES "${PROJECT_SOURCE_DIR}/README.md" "${PROJECT_SOURCE_DIR}/client/store/SNAPSHOT_FORMAT.md"
  "${PROJECT_SOURCE_DIR}/config/projects/example.env.sample" DESTINATION "${CMAKE_INSTALL_DOCDIR}")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
# Whatever the umask of who builds it.
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
  WORLD_READ WORLD_EXECUTE)
set(CPACK_PACKAGE_CONTACT "The litepull authors <litepull@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "consistent SQLite snapshots from a server over SSH")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "Pulls all SQLite databases of an app from a production server, as one point in time,
while the app writes; checks each copy, keeps the right ones, and puts them
back. Only pages that have changed cross the wire.")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION database)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "openssh-client, sqlite3")
include(CPack)
