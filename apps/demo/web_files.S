/* The files of the web page, as they are. Paths are from the root of the sources (-I of the assembler). */
#define FILE(symbol, path) \
  .global symbol; .balign 16; symbol: .incbin path; .global symbol##_end; symbol##_end: .byte 0

  .section .rodata
FILE(rejoin_web_index_html, "apps/demo/web/index.html")
FILE(rejoin_web_page_css, "apps/demo/web/page.css")
FILE(rejoin_web_page_js, "apps/demo/web/page.js")
FILE(rejoin_web_rejoin_js, "clients/js/dist/rejoin.global.js")
  .section .note.GNU-stack, "", @progbits
