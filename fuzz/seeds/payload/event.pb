	;ЯакGЪA
front-door"garage*$0199e0c2-7d5a-7000-8000-00000000000008BcarMЧЈp?R®Gб=ГхЁ>)\Џ>%ёE?Yљ™щЯкGЪAaffакGЪAx