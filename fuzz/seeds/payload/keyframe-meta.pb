	;ЯакGЪA
front-doorgarage"$0199e0c2-7d5a-7000-8000-000000000000(’2Ъ(Ђё 8Ђ
@РHТъR
image/jpegX